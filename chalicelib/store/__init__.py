"""DynamoDB: what must last (firms, logins, followers, audit, runs) and what must vanish."""
