"""Rules of `images/edits`."""

from __future__ import annotations

from collections.abc import Iterator

from ..model_request import decoded, kind_of
from ..refusals import Refusal, Refused, error
from .items import check_image, check_media_type
from .submission import Submission

MOST_IMAGES = 16
_KINDS = ("PNG", "JPEG", "WEBP")


def check_count(submission: Submission) -> None:
    if len(submission.body["images"]) > MOST_IMAGES:
        raise error(f"At most {MOST_IMAGES} images are allowed.", param="images")  # ours


def check_address(submission: Submission) -> None:
    for path, url in _images(submission):
        if not url.startswith("data:"):
            raise error("Error while downloading file.", param=path)


def check_media_types(submission: Submission) -> None:
    for path, url in _images(submission):
        check_media_type(path, url)


def check_data(submission: Submission) -> None:
    for _, url in _images(submission):
        check_image(url)


def check_kind(submission: Submission) -> None:
    """Any picture but these three is refused, though /responses takes a GIF."""
    for at, (_, url) in enumerate(_images(submission), 1):
        kind = kind_of(decoded(url) or b"")
        if kind is not None and kind not in _KINDS:
            message = f"Invalid image file or mode for image {at}, please check your image file."
            body = {
                "message": message,
                "type": "image_generation_user_error",
                "param": None,
                "code": "invalid_image_file",
            }
            raise Refused(Refusal(400, {"error": body}))


def _images(submission: Submission) -> Iterator[tuple[str, str]]:
    """The address of each picture with its path."""
    for at, image in enumerate(submission.body["images"]):
        url = image.get("image_url") if isinstance(image, dict) else None
        yield f"images[{at}].image_url", str(url or "")
