"""Characters that look like a Chinese character and are encoded elsewhere.

Two kinds occur in names: radicals and strokes, which some keyboards and scanners produce, and the
private-use characters that GBK and GB 18030 had before Unicode encoded theirs. No input method
types them, so a name that has one never matches what a person enters.
"""

from __future__ import annotations

import unicodedata
from functools import cache

# Equivalent_Unified_Ideograph of the blocks CJK Radicals Supplement and CJK Strokes, from the Unicode
# Character Database 14.0, EquivalentUnifiedIdeograph.txt. Kangxi Radicals are not listed: theirs is
# their compatibility decomposition.
_RADICALS = (
    "⺁⺂⺃⺄⺅⺆⺇⺈⺉⺊⺋⺌⺍⺎⺏⺐⺑⺒⺓⺔⺕⺖⺗⺘⺙⺛⺜⺝⺞⺟⺠⺡⺢⺣⺤⺥⺦⺧"
    "⺨⺩⺪⺫⺬⺭⺮⺯⺰⺱⺲⺳⺴⺵⺶⺷⺸⺹⺺⺻⺼⺽⺾⺿⻀⻁⻂⻃⻄⻅⻆⻇⻈⻉⻊⻋⻌⻍"
    "⻎⻏⻐⻑⻒⻓⻔⻕⻖⻗⻘⻙⻚⻛⻜⻝⻞⻟⻠⻡⻢⻣⻤⻥⻦⻧⻨⻩⻪⻫⻬⻭⻮⻯⻰⻱⻲⻳"
    "㇆㇏㇐㇑㇒㇓㇔㇕㇖㇗㇘㇙㇚㇛㇜㇝㇞㇟㇠㇡"
)
_EQUIVALENTS = (
    "厂乛乚乙亻冂𠘨刀刂卜㔾小小兀尣尢𡯂巳幺彑彐忄心扌攵旡日月歺母民氵氺灬爫爫丬牛"
    "犭王𤴔目示礻𥫗糹纟罓罒㓁冗𦉫羊𦍌𦍋耂肀聿肉𦥑艹艹艹虎衤覀西见角𧢲讠贝𧾷车辶辶"
    "辶邑钅長镸长门𨸏阝雨青韦页风飞食𩙿飠饣𩠐马骨鬼鱼鸟卤麦黄黾斉齐歯齿竜龙龜亀龟"
    "𠃌乀一丨丿丿丶𠃍乛𠃊𠃎𠄌亅𡿨𠃋乀𠃑乚乙𠄎"
)
_KANGXI = range(0x2F00, 0x2FD6)

# The codes FE50 to FEA0 of GB 18030-2022, in order. GBK had U+E815 to U+E864 for them.
_GBK_FIRST = 0xE815
_GBK = (
    "⺁𠂇𠂉𠃌⺄㑳㑇⺈⺋龴㖞㘚㘎⺌⺗㥮㤘龵㧏㧟㩳㧐龶龷㭎㱮㳠⺧𡗗龸⺪䁖䅟⺮䌷⺳⺶⺷"
    "𢦏䎱䎬⺻䏝䓖䙡䙌龹䜣䜩䝼䞍⻊䥇䥺䥽䦂䦃䦅䦆䦟䦛䦷䦶龺𤇾䲣䲟䲠䲡䱷䲢䴓䴔䴕䴖䴗"
    "䴘䴙䶮龻"
)
# Of the other rows: A6D9 to A6DF, A6EC, A6ED and A6F3 are vertical punctuation; A8BC and A8BF letters.
_GB_OTHERS = {
    **dict(zip(range(0xE78D, 0xE797), "︐︒︑︓︔︕︖︗︘︙", strict=True)),
    0xE7C7: "ḿ",
    0xE7C8: "ǹ",
}


@cache
def _table() -> dict[int, str]:
    table = dict(zip(map(ord, _RADICALS), _EQUIVALENTS, strict=True))
    table |= {code: unicodedata.normalize("NFKC", chr(code)) for code in _KANGXI}
    # Some codes of GB 18030 are radicals themselves.
    private = {code: table.get(ord(c), c) for code, c in enumerate(_GBK, _GBK_FIRST)}
    return table | private | _GB_OTHERS


def unify(text: str) -> str:
    """Replace radicals, strokes and GB 18030's private-use characters by the characters meant."""
    return text.translate(_table())
