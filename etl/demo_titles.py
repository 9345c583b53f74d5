"""Artists and titles of the demo catalogue. All are ours, under CC0."""

TITLES: dict[str, dict[str, tuple[str, ...]]] = {
    "Ambient": {
        "Polar Gardens": ("Snow Over the Relay", "Slow Lantern", "Glass Estuary"),
        "Mira Holt": ("Undertow Room", "Seven Quiet Hours", "Fog Index"),
        "The Long Exposure": ("Afterglow Survey", "Moth Weather"),
    },
    "Techno": {
        "Kessel Nord": ("Ring Closure", "Hall 12", "Cold Start"),
        "Dvorak Engine": ("Pressure Line", "Third Rail", "Overrun"),
        "Ana Ferro": ("Night Shift Protocol", "Copper Loop"),
    },
    "Folk": {
        "Willow & Crane": ("The Miller's Stair", "Barley Road", "Four Small Bells"),
        "Tomas Ardal": ("Letter from the Weir", "Heron Tune", "Away by Morning"),
        "Hester Lane": ("Thread and Thimble", "Old Orchard Reel"),
    },
    "Synth-pop": {
        "Neon Arcade Club": ("Saturday Satellites", "Call Me on Line Two", "Pink Meridian"),
        "Vela": ("Heart in Hi-Fi", "Runaway Skyline", "Mirror Mirror Mirror"),
        "Postcard Summer": ("Ocean Drive Again", "Polaroid Parade"),
    },
    "Lo-fi": {
        "Teacup Theory": ("Rain on Page Nine", "Half Past Sleepy", "Library Cat", "Sunday Static"),
        "Kenji Moss": ("Window Seat", "Leftover Noodles", "Two Blocks Home", "Paper Umbrella"),
    },
    "Organ": {
        "Collegium Aurora": ("Chorale for a Small Nave", "Vigil in G", "Canon of the Candles", "Lauds"),
        "Elsbeth Kranz": ("Voluntary at Dusk", "Passacaglia", "Evensong Variations", "Stone Hymn"),
    },
}
