"""The image API itself."""

from ..kernel.http import Api, ImageDialect

api = Api(
    "image", prefix="/image", base="/v2", dialect=ImageDialect(),
    forbidden="You are not authorized to complete {rule} action.", scopes=("project",),
)  # fmt: skip
