"""Access to DynamoDB: durable tables (firms, logins, followers, audit, runs) and expiring items."""
