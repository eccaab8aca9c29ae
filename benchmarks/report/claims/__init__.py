"""The paper's claims (claims.toml), each judged from records by a rule."""
