"""The SMS vendors' documented codes of refusals, which tests compare with the gateways' outcomes."""

from __future__ import annotations

from tencentcloud.sms.v20210111 import errorcodes

from chalicelib.sms.gateway import Outcome

# "API error codes" of the domestic SMS, and the gateway's own codes before them.
ALIYUN_TRY_ANOTHER = [
    "isv.SMS_SIGNATURE_SCENE_ILLEGAL",
    "isv.EXTEND_CODE_ERROR",
    "isv.SIGN_STATE_ILLEGAL",
    "isv.DOMESTIC_NUMBER_NOT_SUPPORTED",
    "isv.DENY_IP_RANGE",
    "isv.DAY_LIMIT_CONTROL",
    "isv.MONTH_LIMIT_CONTROL",
    "isv.SMS_CONTENT_ILLEGAL",
    "isv.SMS_SIGN_ILLEGAL",
    "isp.RAM_PERMISSION_DENY",
    "isv.OUT_OF_SERVICE",
    "isv.PRODUCT_UN_SUBSCRIPT",
    "isv.PRODUCT_UNSUBSCRIBE",
    "isv.ACCOUNT_NOT_EXISTS",
    "isv.ACCOUNT_ABNORMAL",
    "isv.SMS_TEMPLATE_ILLEGAL",
    "isv.SMS_SIGNATURE_ILLEGAL",
    "isv.INVALID_PARAMETERS",
    "isp.SYSTEM_ERROR",
    "isp.GATEWAY_ERROR",
    "isv.MOBILE_COUNT_OVER_LIMIT",
    "isv.TEMPLATE_MISSING_PARAMETERS",
    "isv.BUSINESS_LIMIT_CONTROL",
    "isv.INVALID_JSON_PARAM",
    "isv.PARAM_LENGTH_LIMIT",
    "isv.PARAM_NOT_SUPPORT_URL",
    "isv.AMOUNT_NOT_ENOUGH",
    "isv.TEMPLATE_PARAMS_ILLEGAL",
    "isv.SMS_TEST_SIGN_TEMPLATE_LIMIT",
    "isv.SMS_TEST_NUMBER_LIMIT",
    "isv.SECURITY_FROZEN_ACCOUNT",
    "isv.UNSUPPORTED_CONTENT",
    "template_parameter_count_illegal",
    "SignatureDoesNotMatch",
    "SignatureNonceUsed",
    "InvalidTimeStamp.Expired",
    "InvalidAccessKeyId.NotFound",
    "Throttling.User",
    "ServiceUnavailable",
    "InternalError",
    "InvalidVersion",
    "InvalidAction.NotFound",
    "isv.BLACK_KEY_CONTROL_LIMIT",
    "isv.SMS_CONTENT_MISMATCH_TEMPLATE_TYPE",
    "isv.SMS_TEST_TEMPLATE_PARAMS_ILLEGAL",
    "isv.SMS_SIGN_EMOJI_ILLEGAL",
    "isv.SIGN_SOURCE_ILLEGAL",
    "isv.ONE_CODE_MULTIPLE_SIGN",
    "isv.CODE_EXCEED_LIMIT",
    "isv.CODE_ERROR",
    "SIGNATURE_BLACKLIST",
    "PORT_NOT_REGISTERED",
]
ALIYUN_FINAL = ["isv.MOBILE_NUMBER_ILLEGAL", "isv.CUSTOMER_REFUSED"]

# Of Tencent Cloud's SDK: the codes of its SMS, and those of all its interfaces.
TENCENT_OF_SMS = sorted(
    value for name, value in vars(errorcodes).items() if name.isupper() and isinstance(value, str)
)
TENCENT_COMMON = [
    "ActionOffline",
    "AuthFailure.InvalidAuthorization",
    "AuthFailure.InvalidSecretId",
    "AuthFailure.SecretIdNotFound",
    "AuthFailure.SignatureExpire",
    "AuthFailure.SignatureFailure",
    "AuthFailure.UnauthorizedOperation",
    "InternalError",
    "InvalidAction",
    "InvalidParameter",
    "IpNotInWhitelist",
    "LimitExceeded",
    "RequestLimitExceeded",
    "RequestLimitExceeded.IPLimitExceeded",
    "ResourceInsufficient",
    "ServiceUnavailable",
    "UnknownParameter",
]

# Code, HTTP status and outcome; the errors of Publish, and the common ones.
SNS_ERRORS = [
    ("OptedOut", 400, Outcome.REFUSED),
    ("InvalidParameter", 400, Outcome.TRY_ANOTHER),
    ("ParameterValueInvalid", 400, Outcome.TRY_ANOTHER),
    ("NotFound", 404, Outcome.TRY_ANOTHER),
    ("EndpointDisabled", 400, Outcome.TRY_ANOTHER),
    ("PlatformApplicationDisabled", 400, Outcome.TRY_ANOTHER),
    ("KMSDisabled", 400, Outcome.TRY_ANOTHER),
    ("KMSInvalidState", 400, Outcome.TRY_ANOTHER),
    ("KMSNotFound", 400, Outcome.TRY_ANOTHER),
    ("KMSOptInRequired", 403, Outcome.TRY_ANOTHER),
    ("KMSThrottling", 400, Outcome.TRY_ANOTHER),
    ("KMSAccessDenied", 400, Outcome.TRY_ANOTHER),
    ("InvalidSecurity", 403, Outcome.TRY_ANOTHER),
    ("UserError", 400, Outcome.TRY_ANOTHER),
    ("Throttled", 429, Outcome.TRY_ANOTHER),
    ("Throttling", 400, Outcome.TRY_ANOTHER),
    ("AuthorizationError", 403, Outcome.TRY_ANOTHER),
    ("InvalidClientTokenId", 403, Outcome.TRY_ANOTHER),
    ("ExpiredToken", 403, Outcome.TRY_ANOTHER),
    ("OptInRequired", 403, Outcome.TRY_ANOTHER),
    ("ValidationException", 400, Outcome.TRY_ANOTHER),
    ("InternalError", 500, Outcome.TRY_ANOTHER),
    ("ServiceUnavailable", 503, Outcome.TRY_ANOTHER),
]
