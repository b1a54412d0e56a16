import numpy as np

from apptemplates.evaluation import sound_figures


def test_maps_are_drawn_over_sounds_with_time_and_pitch():
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (2, 40, 98, 1), dtype=np.uint8)
    maps = {"Grad-CAM": rng.random((2, 40, 98)), "occlusion": rng.random((2, 40, 98))}
    figure = sound_figures.heat_maps(pictures, maps, ["yes", "no"], seconds=1.0, pitches={200: 35.0, 4000: 8.0})
    assert "Grad-CAM and occlusion" in figure.get_label()
    assert len(figure.axes) == 6
    first = figure.axes[0]
    assert [tick.get_text() for tick in first.get_yticklabels()] == ["200 Hz", "4,000 Hz"]
    assert first.get_xlim() == (0.0, 1.0)
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == ["yes", "Grad-CAM", "occlusion"]
