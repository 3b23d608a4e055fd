"""The form of a pager list: what it holds, what its buttons do to it, what is sent to be saved."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from strike_app.posted import Posted
from strike_app.web.asking import Refused
from strike_app.web.forms import Filled
from strike_domain.corridors import HALF_WIDTH_M

DECLINE_KEYS = ("3", "4", "5", "6", "7", "8", "0")

ALIASES = {"afterMinutes": "ringAgainMinutes", "times": "ringAgainTimes"}
"""How a rule's own field is called in the form."""

REGION, EVERYWHERE = "region", "everywhere"


@dataclass
class Row:
    """Somebody in the form. `key` stays the same wherever the row is moved to."""

    key: str
    name: str = ""
    phone: str = ""
    language: str = "ENGLISH"
    consented: bool = False
    texted: bool = False

    @property
    def is_blank(self) -> bool:
        return not self.name and not self.phone


@dataclass
class ListForm(Filled):
    """`rows` are the contacts in the order of ringing. `region` is GeoJSON as text."""

    rows: list[Row] = field(default_factory=list)

    @classmethod
    def new(cls) -> ListForm:
        values = {"rounds": "1", "answerSeconds": "30", "ringAgainTimes": "0"}
        form = cls({**values, "ringAgainMinutes": "", "name": "", "region": "", "ground": REGION})
        form.values |= {"buffer": f"{HALF_WIDTH_M:.0f}", "paste": "", "declineKeys": ""}
        form.values |= {"reason-3": "CANNOT", "reason-4": "TOO_FAR", "minutes-4": "60"}
        form.rows = [Row("1"), Row("2")]
        return form

    @classmethod
    def of_list(cls, found: Mapping[str, Any]) -> ListForm:
        form = cls.new()
        for name in ("name", "rounds", "answerSeconds", "ringAgainMinutes", "ringAgainTimes"):
            form.values[name] = "" if found[name] is None else str(found[name])
        form.values["ground"] = REGION if found["region"] else EVERYWHERE
        form.values["region"] = json.dumps(found["region"]) if found["region"] else ""
        for key in DECLINE_KEYS:
            form.values[f"reason-{key}"] = form.values[f"minutes-{key}"] = ""
        for one in found["declineKeys"]:
            form.values[f"reason-{one['key']}"] = one["reason"]
            form.values[f"minutes-{one['key']}"] = str(one["minutes"] or "")
        form.rows = [
            Row(
                str(number),
                one["name"],
                one["phone"],
                one["language"],
                one["consented"],
                one["texted"],
            )
            for number, one in enumerate(found["contacts"], 1)
        ]
        return form

    @classmethod
    def of_sent(cls, sent: Posted) -> ListForm:
        """As it was filled in."""
        form = cls.new()
        form.values |= {name: sent[name] for name in form.values}
        for key in DECLINE_KEYS:
            form.values[f"reason-{key}"] = sent[f"reason-{key}"]
            form.values[f"minutes-{key}"] = sent[f"minutes-{key}"]
        form.rows = [
            Row(
                key,
                sent[f"name-{key}"],
                sent[f"phone-{key}"],
                sent[f"language-{key}"] or "ENGLISH",
                bool(sent[f"consented-{key}"]),
                bool(sent[f"texted-{key}"]),
            )
            for key in dict.fromkeys(sent.fields.getall("contact", []))
            if key.isalnum()
        ]
        return form

    # Its buttons, for those without scripts --------------------------------------------------

    def press(self, do: str) -> None:
        """`up-KEY`, `down-KEY`, `remove-KEY` or `add`; anything else changes nothing."""
        what, _, key = do.partition("-")
        at = next((index for index, one in enumerate(self.rows) if one.key == key), None)
        if what == "add":
            numbers = [int(one.key) for one in self.rows if one.key.isdecimal()]
            self.rows.append(Row(str(max(numbers, default=0) + 1)))
        elif at is None:
            return
        elif what == "remove":
            del self.rows[at]
        elif what in ("up", "down"):
            to = max(0, at - 1) if what == "up" else at + 1
            self.rows.insert(to, self.rows.pop(at))

    # What is saved --------------------------------------------------------------------------

    def list_input(self, list_id: str | None) -> dict[str, Any]:
        """The argument of `savePagerList`. Raises `Refused` for what is no number, or missing."""
        minutes = self.whole("ringAgainMinutes")
        return {
            "id": list_id,
            "name": self.get("name"),
            "contacts": [
                {
                    "name": one.name,
                    "phone": one.phone,
                    "language": one.language,
                    "consented": one.consented,
                    "texted": one.texted,
                }
                for one in self.people
            ],
            "region": self._region(),
            "rounds": self._needed("rounds"),
            "answerSeconds": self._needed("answerSeconds"),
            "declineKeys": [*self._decline_keys()],
            "ringAgainMinutes": minutes,
            "ringAgainTimes": self.whole("ringAgainTimes") or 0,
        }

    @property
    def people(self) -> list[Row]:
        """Rows with nothing in them are nobody."""
        return [one for one in self.rows if not one.is_blank]

    def refuse(self, refused: Refused) -> None:
        """A contact's refusal stands beside the row's own field."""
        steps = [step for step in refused.path if step != "input"]
        match steps:
            case ["contacts", index, what]:
                self.errors[f"{what}-{self.people[int(index)].key}"] = refused
            case ["region", *_] | ["afterMinutes" | "times"]:
                name = ALIASES.get(steps[0], "region")
                super().refuse(Refused(refused.code, refused.message, (name,), refused.where))
            case _:
                super().refuse(refused)

    def _region(self) -> Any:
        if self.get("ground") == EVERYWHERE:
            return None
        if not self.get("region"):
            message = "Draw or import a region, or choose that the list answers everywhere else."
            raise Refused("REGION_MISSING", message, ("region",))
        try:
            found = json.loads(self.get("region"))
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            message = "This is no GeoJSON: a Polygon or MultiPolygon is needed."
            raise Refused("INVALID_JSON", message, ("region",))
        return found

    def _needed(self, name: str) -> int:
        number = self.whole(name)
        if number is None:
            raise Refused("NUMBER_EXPECTED", "Write a whole number.", (name,))
        return number

    def _decline_keys(self) -> list[dict[str, Any]]:
        found = []
        for key in DECLINE_KEYS:
            reason, minutes = self.get(f"reason-{key}"), self.whole(f"minutes-{key}")
            if reason == "TOO_FAR" and minutes is None:
                message = "Say how many minutes away."
                raise Refused("VALUE_INVALID", message, (f"minutes-{key}",))
            if reason:
                far = minutes if reason == "TOO_FAR" else None
                found.append({"key": key, "reason": reason, "minutes": far})
        return found
