"""Many photos, many machines: which picture each becomes, and who paints it when."""
