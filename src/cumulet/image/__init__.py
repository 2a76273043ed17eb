"""Images: what servers and volumes start from. Glance's API, version 2.

Other services use what is exported here; the functions that take a transaction are called inside theirs.
"""

from ..kernel.http import Api, ImageDialect

api = Api(
    "image", prefix="/image", base="/v2", dialect=ImageDialect(),
    forbidden="You are not authorized to complete {rule} action.",
)  # fmt: skip

from .images import ImageFacts, Stored, abandon, find, reserve, stored  # noqa: E402
from .data import add_file, adopt, incoming  # noqa: E402

__all__ = ["ImageFacts", "Stored", "abandon", "add_file", "adopt", "api", "find", "incoming", "reserve", "stored"]
