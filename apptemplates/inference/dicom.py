"""Pictures in DICOM files as a viewer shows them: rescaled, windowed, black is black."""

from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from apptemplates.inference import images
from apptemplates.inference.images import Undecodable


def read(stream: BinaryIO, name: str) -> Image.Image:
    """The first picture in a DICOM file, grey or colour, in 8 bits.

    The rescale slope, the window (or its table; without any the whole range of the picture), the photometric
    interpretation and palettes are honoured.

    Raises:
        Undecodable: pydicom is not installed, or the file holds no picture that can be read.
    """
    try:
        import pydicom
        from pydicom import pixels
    except ImportError:
        raise Undecodable(
            f"{name}: dicom files need pydicom; install it with pip install 'apptemplates[dicom]'."
        ) from None
    try:
        header = pydicom.dcmread(stream, force=True)
        if "PixelData" not in header:
            raise Undecodable(f"{name}: this dicom file holds no picture; leave it out.")
        area = int(header.Rows) * int(header.Columns)
        images.refuse_large(area, area, name)
        if not header.file_meta.get("TransferSyntaxUID"):  # written before such a line was asked for
            order = pydicom.uid.ExplicitVRLittleEndian, pydicom.uid.ImplicitVRLittleEndian
            header.file_meta.TransferSyntaxUID = order[bool(header.original_encoding[0])]
        frame = pixels.pixel_array(header, index=0)  # (h, w) or (h, w, 3), YBR as RGB
        return Image.fromarray(shown(frame, header))
    except Undecodable:
        raise
    except (*images.DAMAGED, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise Undecodable(f"{name}: the dicom file can not be decoded ({reason}); save it uncompressed.") from error


def shown(frame: np.ndarray, header: Any) -> np.ndarray:
    """Stored values as uint8, as a viewer shows them."""
    from pydicom import pixels

    if header.PhotometricInterpretation == "PALETTE COLOR":
        frame = pixels.apply_color_lut(frame, header)
        return spread(frame, 0, np.iinfo(frame.dtype).max)
    if frame.ndim == 3:
        return spread(frame, 0, 2.0 ** int(header.BitsStored) - 1)
    table = header.get("VOILUTSequence")
    padding = (
        frame == header["PixelPaddingValue"].value if "PixelPaddingValue" in header else np.zeros_like(frame, bool)
    )
    values = pixels.apply_modality_lut(frame, header)
    if table:
        grey = spread(pixels.apply_voi(values, header), 0, 2.0 ** int(table[0].LUTDescriptor[2]) - 1)
    elif header.get("WindowCenter") is not None and header.get("WindowWidth") is not None:
        grey = windowed(values, first(header.WindowCenter), first(header.WindowWidth), header.get("VOILUTFunction"))
    else:
        inside = values if padding.all() else values[~padding]
        grey = spread(values, inside.min(), inside.max())
    inverted = header.PhotometricInterpretation == "MONOCHROME1"  # the lowest value is white
    grey = 255 - grey if inverted else grey
    grey[padding] = 0
    return grey


def windowed(values: np.ndarray, centre: float, width: float, function: str | None) -> np.ndarray:
    """Values through a window of a centre and a width.

    Reference: DICOM PS3.3, C.11.2.1.2 (Window Center and Window Width) and C.11.2.1.3 (VOI LUT Function).
    """
    if function == "SIGMOID":
        return spread(1 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -50, 50))), 0, 1)
    if function == "LINEAR_EXACT":
        return spread(values, centre - width / 2, centre + width / 2)
    return spread(values, centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2)


def spread(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values from low to high as 0..255, those beyond cut off."""
    values = np.asarray(values, np.float64)
    return np.rint(np.clip((values - low) / max(high - low, 1e-12), 0, 1) * 255).astype(np.uint8)


def first(value: Any) -> float:
    """The first of one or several numbers, which offer several views."""
    return float(value[0] if isinstance(value, list | tuple) or hasattr(value, "append") else value)
