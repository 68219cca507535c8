"""What makes speech of what the models give: judged, said again where it failed, trimmed, and at the pace asked for."""
