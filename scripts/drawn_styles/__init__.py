"""The four layered style sets that this project draws itself, by name."""

from drawn_styles import flow_field, hatching, mosaic, paper_cut

SETS = {
    "flow_field": flow_field.SET,
    "hatching": hatching.SET,
    "mosaic": mosaic.SET,
    "paper_cut": paper_cut.SET,
}
