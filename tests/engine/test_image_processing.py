from __future__ import annotations

import base64
import io

import pytest
from PIL import Image, ImageCms, ImageOps
from tests.drawn import animation, bomb, mask, opened, photo, picture

from codexapi_engine.bounds import MAX_FILE_BYTES
from codexapi_engine.errors import InvalidRequest, UnexpectedAnswer
from codexapi_engine.images import processing
from codexapi_engine.images.processing import Input
from codexapi_engine.simulator.png import png


@pytest.mark.parametrize(
    ("kind", "mode"), [("png", "RGBA"), ("jpeg", "RGB"), ("webp", "RGB"), ("gif", "P")]
)
def test_an_input_is_what_its_bytes_say(kind: str, mode: str) -> None:
    data = picture(kind, (6, 4), mode)
    seen = processing.looked_at(Input("image", data))
    assert (seen.format, seen.width, seen.height) == (kind, 6, 4)
    assert seen.data is data
    assert seen.media_type == f"image/{kind}"


BAD = {
    "nothing": b"",
    "text": b"not a picture",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "another format": picture("bmp"),
    "truncated png": picture(size=(200, 200))[:-30],
    "truncated jpeg": picture("jpeg", (400, 400))[:-200],
    "truncated webp": picture("webp", (400, 400))[:-50],
    "header alone": picture()[:33],
    "a broken checksum": picture().replace(b"IDAT", b"IDAX"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_whole_picture_is_refused_by_its_field(name: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        processing.looked_at(Input("image", BAD[name]))
    assert (caught.value.param, caught.value.code) == ("image", "invalid_image")


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    data = bomb()
    assert len(data) < 2**20
    with pytest.raises(InvalidRequest, match="20000x20000") as caught:
        processing.looked_at(Input("mask", data))
    assert (caught.value.param, caught.value.code) == ("mask", "image_too_large")


def test_a_file_that_is_too_large_is_refused_unread() -> None:
    with pytest.raises(InvalidRequest, match=f"{MAX_FILE_BYTES >> 20} MB") as caught:
        processing.looked_at(Input("image", bytes(MAX_FILE_BYTES + 1)))
    assert caught.value.code == "image_too_large"


def test_an_edit_gets_data_urls_by_content() -> None:
    urls, over = processing.to_edit(
        [Input("image", picture("jpeg")), Input("image", picture())], Input("mask", mask())
    )
    assert [url.partition(";")[0] for url in urls] == ["data:image/jpeg", "data:image/png"]
    assert over is not None
    assert over.startswith("data:image/png;base64,")


@pytest.mark.parametrize(
    "data",
    [picture(), picture("webp", mode="RGBA"), mask((7, 4)), b"no"],
    ids=["no alpha", "no png", "another size", "no picture"],
)
def test_a_mask_that_is_none_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        processing.to_edit([Input("image", picture())], Input("mask", data))
    assert caught.value.param == "mask"


def pixels(url: str) -> Image.Image:
    return opened(base64.b64decode(url.partition(",")[2]))


@pytest.mark.parametrize("over", [None, Input("mask", mask())])
def test_a_gif_goes_to_the_edit_endpoint_as_its_first_frame(over: Input | None) -> None:
    (url,), _ = processing.to_edit([Input("image", animation())], over)
    assert url.startswith("data:image/png;base64,")
    image = pixels(url)
    assert image.size == (6, 4)
    assert image.convert("RGB").getpixel((0, 0)) == (255, 0, 0)
    assert getattr(image, "n_frames", 1) == 1


def test_a_clear_gif_stays_clear() -> None:
    clear = picture("gif", mode="P", transparency=0)
    (url,), _ = processing.to_edit([Input("image", clear)], None)
    assert pixels(url).convert("RGBA").getpixel((0, 0))[3] == 0  # type: ignore[index]


@pytest.mark.parametrize("kind", ["jpeg", "webp", "png"])
def test_a_photo_beside_a_mask_is_upright(kind: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    data = photo(kind, icc_profile=profile)
    (url,), over = processing.to_edit([Input("image", data)], Input("mask", mask((40, 60))))
    image = pixels(url)
    assert (image.format, image.size) == (kind.upper(), (40, 60))
    assert image.getexif().get(0x0112, 1) == 1
    above, below = (image.convert("RGB").getpixel(at) for at in ((20, 10), (20, 50)))
    assert (above[0] > 200, below[2] > 200) == (True, True)  # type: ignore[index]
    assert image.info["icc_profile"] == profile
    assert over is not None
    assert pixels(over).size == (40, 60)


@pytest.mark.parametrize("orientation", range(2, 9))
def test_every_orientation_is_turned_as_pillow_turns_it(orientation: int) -> None:
    data = photo("png", (60, 40), orientation)
    expected = ImageOps.exif_transpose(opened(data))
    (url,), _ = processing.to_edit([Input("image", data)], Input("mask", mask(expected.size)))
    assert pixels(url).tobytes() == expected.tobytes()


def test_a_mask_is_turned_as_its_own_data_say_too() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = picture(size=(60, 40), mode="RGBA", exif=exif)
    _, over = processing.to_edit([Input("image", photo())], Input("mask", turned))
    assert over is not None
    assert pixels(over).size == (40, 60)


def test_a_png_that_tells_its_turn_behind_its_pixels_is_upright() -> None:
    data = photo("png")
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4])
    late = data[:start] + data[end:-12] + data[start:end] + data[-12:]
    (url,), _ = processing.to_edit([Input("image", late)], Input("mask", mask((40, 60))))
    assert pixels(url).size == (40, 60)


@pytest.mark.parametrize("over", [None, Input("mask", mask((40, 60)))])
def test_a_phone_s_photo_with_a_second_picture_behind_it_is_a_jpeg(over: Input | None) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    second = Image.new("RGB", (60, 40), "blue")
    data = picture("mpo", (60, 40), save_all=True, append_images=[second], exif=exif)
    (url,), _ = processing.to_edit([Input("image", data)], over)
    assert url.startswith("data:image/jpeg;base64,")
    assert pixels(url).size == ((40, 60) if over else (60, 40))


def test_a_mask_is_compared_with_the_photo_as_people_see_it() -> None:
    with pytest.raises(InvalidRequest, match="40x60") as caught:
        processing.to_edit([Input("image", photo())], Input("mask", mask((60, 40))))
    assert caught.value.param == "mask"


@pytest.mark.parametrize("data", [photo(), photo(orientation=1), picture("jpeg", (60, 40))])
def test_a_photo_stays_as_it_came_where_nothing_asks_for_more(data: bytes) -> None:
    (url,), _ = processing.to_edit([Input("image", data)], None)
    assert base64.b64decode(url.partition(",")[2]) == data


@pytest.mark.parametrize(
    "data",
    [
        photo(orientation=1),
        picture("webp", (60, 40), exif=b"Exif\0\0II*\0\xff\xff\xff\xff"),
        picture("webp", (60, 40), exif=b"Exif\0\0nonsense"),
    ],
    ids=["upright", "broken", "nonsense"],
)
def test_a_photo_that_stands_upright_keeps_its_bytes(data: bytes) -> None:
    (url,), _ = processing.to_edit([Input("image", data)], Input("mask", mask((60, 40))))
    assert base64.b64decode(url.partition(",")[2]) == data


def test_too_many_inputs_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="16"):
        processing.to_edit([Input("image", picture())] * 17, None)


def test_bytes_stay_as_they_came_where_nothing_has_to_change() -> None:
    data = picture(size=(30, 20))
    assert processing.finished(data).data is data
    assert processing.finished(data, format="png", exact=(30, 20)).data is data


@pytest.mark.parametrize("kind", ["jpeg", "webp", "png"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "LA"])
def test_every_picture_can_become_every_format(kind: str, mode: str) -> None:
    made = processing.finished(picture(size=(30, 20), mode=mode), format=kind, revised_prompt="x")
    assert (made.format, made.size, made.revised_prompt) == (kind, "30x20", "x")
    image = opened(made.data)
    assert (image.format, image.size) == (kind.upper(), (30, 20))


def test_what_was_clear_is_white_in_a_jpeg() -> None:
    made = processing.finished(picture(mode="RGBA"), format="jpeg")
    assert opened(made.data).convert("RGB").getpixel((1, 1)) == (255, 255, 255)
    assert not made.alpha


def test_alpha_stays_where_the_format_has_it() -> None:
    made = processing.finished(picture(mode="RGBA", size=(30, 20)), format="webp", exact=(10, 10))
    assert made.alpha
    assert opened(made.data).mode == "RGBA"


def test_a_lower_quality_gives_fewer_bytes() -> None:
    data = png(300, 300, "a fox")
    small = processing.finished(data, format="jpeg", compression=5)
    large = processing.finished(data, format="jpeg", compression=95)
    assert len(small.data) < len(large.data)


@pytest.mark.parametrize("size", [(640, 480), (16, 3840), (1, 1)], ids=str)
def test_an_exact_size_is_exact(size: tuple[int, int]) -> None:
    made = processing.finished(picture(size=(1024, 1024), mode="P"), exact=size)
    assert (made.width, made.height) == opened(made.data).size == size


def test_what_the_backend_sent_in_place_of_a_picture_is_an_error_of_ours() -> None:
    with pytest.raises(UnexpectedAnswer):
        processing.finished(b"hello")
    with pytest.raises(UnexpectedAnswer):
        processing.finished(picture(size=(200, 200))[:-30], format="webp")


@pytest.mark.parametrize(("mode", "kind"), [("RGB", "jpeg"), ("RGBA", "webp")])
def test_a_preview_keeps_its_bounds_and_its_alpha(mode: str, kind: str) -> None:
    noise = Image.effect_noise((1500, 900), 90).convert(mode)
    if mode == "RGBA":
        noise.putalpha(100)
    out = io.BytesIO()
    noise.save(out, "png")
    small = processing.preview(processing.finished(out.getvalue()), max_bytes=60_000)
    assert len(small.data) <= 60_000
    assert small.format == kind
    assert small.width > small.height


def test_a_small_picture_is_its_own_preview() -> None:
    made = processing.finished(picture())
    assert processing.preview(made, max_bytes=60_000) is made
