# Bodies of types that schemathesis does not write by itself: what it made up goes as it is.

import schemathesis


@schemathesis.serializer("application/sdp", "application/cbor")
def as_it_is(context, value):
    return value if isinstance(value, bytes) else str(value).encode()
