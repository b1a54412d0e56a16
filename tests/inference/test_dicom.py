"""DICOM files show what a viewer shows; pydicom's own files are the judges."""

import io
import sys

import numpy as np
import pytest

from apptemplates.inference.images import Undecodable, decode


@pytest.fixture
def pydicom():
    return pytest.importorskip("pydicom")


@pytest.fixture
def scan(pydicom):
    """Makes a DICOM file of values 0, 1, 2, ... (8 x 8) with the tags given."""
    from pydicom.dataset import Dataset, FileMetaDataset

    def scan(values=None, **tags):
        values = np.arange(64, dtype=np.uint16).reshape(8, 8) if values is None else values
        header = Dataset()
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = "1.2.3"
        header.Rows, header.Columns = values.shape[:2]
        header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
        header.BitsAllocated = header.BitsStored = 8 * values.itemsize
        header.HighBit, header.PixelRepresentation = header.BitsStored - 1, int(values.dtype.kind == "i")
        header.PixelData = values.tobytes()
        for name, value in tags.items():
            setattr(header, name, value)
        stream = io.BytesIO()
        header.save_as(stream, enforce_file_format=True)
        return stream.getvalue()

    return scan


def grey(file):
    return decode(file, (8, 8), 1)[..., 0].ravel()


def test_without_a_window_the_whole_range_is_shown(scan):
    np.testing.assert_array_equal(grey(scan()), np.rint(np.arange(64) / 63 * 255))


def test_the_window_is_honoured_after_the_rescale_slope(scan):
    # values 0..63 become 2 v - 10; the window shows 10.5 .. 29.5 (centre 20.5 - 0.5, width 20 - 1)
    found = grey(scan(RescaleSlope=2, RescaleIntercept=-10, WindowCenter=20.5, WindowWidth=20))
    expected = np.clip((2.0 * np.arange(64) - 10 - 10.5) / 19, 0, 1) * 255
    np.testing.assert_array_equal(found, np.rint(expected))
    several = grey(scan(RescaleSlope=2, RescaleIntercept=-10, WindowCenter=[20.5, 0], WindowWidth=[20, 3]))
    np.testing.assert_array_equal(several, found)
    exact = grey(scan(WindowCenter=20, WindowWidth=20, VOILUTFunction="LINEAR_EXACT"))
    np.testing.assert_array_equal(exact, np.rint(np.clip((np.arange(64) - 10) / 20, 0, 1) * 255))
    soft = grey(scan(WindowCenter=20, WindowWidth=20, VOILUTFunction="SIGMOID"))
    np.testing.assert_array_equal(soft, np.rint(255 / (1 + np.exp(-4 * (np.arange(64) - 20.0) / 20))))


def test_monochrome1_is_turned_round_and_what_lies_outside_the_picture_is_black(scan):
    np.testing.assert_array_equal(grey(scan(PhotometricInterpretation="MONOCHROME1")), 255 - grey(scan()))
    values = np.arange(64, dtype=np.int16).reshape(8, 8) - 20
    values[0] = -2000
    found = grey(scan(values, PixelPaddingValue=-2000, PhotometricInterpretation="MONOCHROME1"))
    assert (found[:8] == 0).all() and found[8] == 255 and found[-1] == 0


def test_real_files(pydicom):
    path = pydicom.data.get_testdata_file
    plain = "MR_small.dcm"
    pairs = [(plain, "MR_small_RLE.dcm"), (plain, "MR_small_bigendian.dcm"), (plain, "MR_small_jp2klossless.dcm")]
    for one, other in [*pairs, ("SC_rgb_rle.dcm", "SC_rgb_rle_16bit.dcm")]:
        np.testing.assert_allclose(decode(path(one), (64, 64), 3), decode(path(other), (64, 64), 3).astype(int), atol=1)
    colours = decode(path("SC_rgb_rle.dcm"), (100, 100), 3, "stretch")
    assert colours[5, 50].tolist() == [255, 0, 0] and colours[25, 50].tolist() == [0, 255, 0]
    yellow_blue = decode(path("SC_ybr_full_422_uncompressed.dcm"), (100, 100), 3, "stretch").astype(int)
    assert np.abs(yellow_blue - colours).mean() < 3  # YBR is turned to RGB
    head = decode(path("CT_small.dcm"), (64, 64), 1)
    assert 10 < head.std() < 100
    palette = decode(path("examples_palette.dcm"), (64, 64), 3).astype(int)
    assert np.ptp(palette, axis=2).max() > 10


def test_files_that_hold_no_picture(pydicom, scan, tmp_path):
    def reason(value):
        with pytest.raises(Undecodable) as caught:
            decode(value, (8, 8), 1)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    path = pydicom.data.get_testdata_file
    assert "rtplan.dcm: this dicom file holds no picture; leave it out" in reason(path("rtplan.dcm"))
    assert "MR_truncated.dcm: the dicom file can not be decoded" in reason(path("MR_truncated.dcm"))
    assert "JPEG-LS" in reason(path("MR_small_jpeg_ls_lossless.dcm"))
    assert "has 4,000,000,000 pixels; at most" in reason(scan(Rows=62_500, Columns=64_000))
    (tmp_path / "a.dcm").write_bytes(b"no dicom at all")
    assert "a.dcm: this dicom file holds no picture" in reason(tmp_path / "a.dcm")


def test_without_pydicom_the_error_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pydicom", None)
    (tmp_path / "scan").write_bytes(bytes(128) + b"DICM" + bytes(10))
    with pytest.raises(Undecodable, match=r"scan: dicom files need pydicom; .* pip install 'apptemplates\[dicom\]'"):
        decode(tmp_path / "scan", (8, 8), 1)
