"""A gazetteer of the United States that needs no network: GeoNames' towns, the atlas's counties."""

from strike_adapters.places.gazetteer import GazetteerMissing, GeoNamesPlaces

__all__ = ["GazetteerMissing", "GeoNamesPlaces"]
