"""Whether a token was signed with a key: PyJWT's answer, for three algorithms and no other."""

import jwt

from headgate.issuers import ALGORITHMS

_JWS = jwt.PyJWS(algorithms=list(ALGORITHMS))


def is_signed(token: str, key: jwt.PyJWK, algorithm: str) -> bool:
    """The key is of one algorithm, which has to be the token's. `authz.jose` has read the token before."""
    if key.algorithm_name != algorithm:
        return False
    try:
        _JWS.decode_complete(token, key, algorithms=[algorithm])
    except (jwt.PyJWTError, ValueError):
        return False
    return True
