# SPDX-License-Identifier: MIT
"""Zones: those that zoneinfo knows, and those of random VTIMEZONEs."""

import bisect
import datetime as dt
import math
import zoneinfo

from dateutil import rrule

from rules import DAYS, up_to

UTC = dt.timezone.utc
EPOCH = dt.datetime(1970, 1, 1)
DAY = 86400

ZONES = """
Europe/Paris Europe/London Europe/Dublin Europe/Lisbon Europe/Moscow Europe/Istanbul Europe/Volgograd
Atlantic/Azores America/New_York America/St_Johns America/Sao_Paulo America/Santiago America/Caracas
America/Havana America/Nuuk America/Asuncion America/Scoresbysund America/Mexico_City Asia/Kathmandu
Asia/Kolkata Asia/Tehran Asia/Colombo Asia/Pyongyang Asia/Gaza Asia/Beirut Asia/Amman Asia/Hovd
Asia/Shanghai Australia/Lord_Howe Australia/Adelaide Australia/Eucla Australia/Sydney Pacific/Chatham
Pacific/Apia Pacific/Kiritimati Pacific/Marquesas Pacific/Norfolk Pacific/Kwajalein Africa/Casablanca
Africa/Cairo Africa/Monrovia Antarctica/Troll Antarctica/Macquarie America/Phoenix UTC
""".split()


class Zone:
    """A zone's changes, found by asking zoneinfo for its offset."""

    def __init__(self, name):
        self.name = name
        self.info = zoneinfo.ZoneInfo(name)
        self.changes = []
        step = 5 * DAY
        before = self.offset(0)
        for at in range(0, 150 * 366 * DAY, step):
            after = self.offset(at + step)
            if after != before:
                self.changes.append(self.search(at, at + step))
            before = after

    def offset(self, instant):
        moment = dt.datetime.fromtimestamp(instant, UTC)
        return int(moment.astimezone(self.info).utcoffset().total_seconds())

    def search(self, low, high):
        """The first instant at which the offset differs from that at `low`."""
        first = self.offset(low)
        while high - low > 1:
            middle = (low + high) // 2
            if self.offset(middle) == first:
                low = middle
            else:
                high = middle
        return high

    def civil(self, instant):
        return EPOCH + dt.timedelta(seconds=instant + self.offset(instant))

    def first(self, civil):
        """The first instant at which the clock shows this time or a later one."""
        instant = int(civil.replace(tzinfo=self.info, fold=0).timestamp())
        if self.civil(instant) == civil:
            return instant
        # in a gap zoneinfo uses the offset before it, and returns an instant after the gap's end
        late = int(civil.replace(tzinfo=self.info, fold=1).timestamp())
        low, high = min(instant, late), max(instant, late)
        return self.search(low, high)


class DescribedZone(Zone):
    """The zone of a random VTIMEZONE: one to six observances, whose rules and dates dateutil expands."""

    LAST = 230 * 366 * DAY  # changes are known up to this instant: later ones than any question has

    def __init__(self, rng):
        self.name = rng.choice(["Here", "Customized Time Zone", "(UTC+01:00) A\\, B"])
        onsets, texts = {}, []
        self.before = None
        standard = rng.randrange(-44, 52) * 900
        for i in range(rng.choice([1, 2, 2, 2, 4, 6])):
            before, after = standard, standard + rng.choice([3600, 3600, 1800, 7200])
            if i % 2:
                before, after = after, before
            if rng.random() < 0.2:
                after = rng.randrange(-44, 52) * 900
            texts.append(self.observance(rng, i, before, after, onsets))
        self.at = sorted(onsets)
        self.offsets = [onsets[self.at[0]][1]] + [onsets[at][0] for at in self.at]
        self.changes = [at for at, a, b in zip(self.at, self.offsets, self.offsets[1:]) if at > 0 and a != b]
        lines = ["BEGIN:VTIMEZONE", "TZID:" + self.name] + texts + ["END:VTIMEZONE"]
        self.text = "\n".join(lines)

    def observance(self, rng, i, before, after, onsets):
        start = dt.datetime(rng.choice([1601, 1883, 1970, 1995, 2007, 2020]), rng.randrange(1, 13), rng.randrange(1, 29),
                            rng.randrange(24), rng.choice([0, 0, 30]), 0)
        times, lines = {start}, []
        kind = rng.random()
        if kind < 0.75:
            month, day = rng.randrange(1, 13), rng.choice(DAYS).upper()[:2]
            rule = "FREQ=YEARLY" + rng.choice(["", ";INTERVAL=1", ";INTERVAL=2"]) + rng.choice([
                f";BYMONTH={month};BYDAY={rng.choice([1, 2, 3, 4, -1, -2])}{day}",
                f";BYMONTH={month};BYMONTHDAY=8,9,10,11,12,13,14;BYDAY={day}", f";BYMONTH={month};BYMONTHDAY=-1",
                f";BYDAY={rng.randrange(1, 50)}{day}", f";BYYEARDAY={rng.choice([-1, 1, 60, 100, 366])}"])
            found = up_to(rrule.rrulestr("RRULE:" + rule, dtstart=start), EPOCH + dt.timedelta(seconds=self.LAST))
            limit = rng.random()
            if limit < 0.15:
                until = start + dt.timedelta(days=rng.randrange(1, 80 * 366))
                rule += f";UNTIL={until - dt.timedelta(seconds=before):%Y%m%dT%H%M%SZ}"
                found = [time for time in found if time <= until]
            elif limit < 0.25:
                rule += f";COUNT={rng.randrange(1, 60)}"
                found = found[:int(rule[rule.rindex("=") + 1:])]
            lines.append("RRULE:" + rule)
            times.update(found)
        if kind > 0.6:
            more = {start + dt.timedelta(minutes=rng.randrange(0, 90 * 366 * 1440)) for _ in range(rng.randrange(1, 20))}
            lines.append("RDATE:" + ",".join(f"{time:%Y%m%dT%H%M%S}" for time in sorted(more)))
            times |= more
        for time in times:
            instant = (time - EPOCH) // dt.timedelta(seconds=1) - before
            while instant in onsets and onsets[instant][0] != after:  # which of two counts is not written down
                return self.observance(rng, i, before, after, onsets)
        for time in times:
            onsets[(time - EPOCH) // dt.timedelta(seconds=1) - before] = after, before
        name = "DAYLIGHT" if i % 2 == 0 else "STANDARD"
        return "\n".join([f"BEGIN:{name}", f"DTSTART:{start:%Y%m%dT%H%M%S}", "TZOFFSETFROM:" + offset_text(before),
                          "TZOFFSETTO:" + offset_text(after)] + lines + [f"END:{name}"])

    def offset(self, instant):
        return self.offsets[bisect.bisect_right(self.at, instant)]

    def first(self, civil):
        wanted = (civil - EPOCH) // dt.timedelta(seconds=1)
        i = max(0, bisect.bisect_right(self.at, wanted - 3 * DAY) - 1)
        while i < len(self.at) and self.at[i] + self.offsets[i] <= wanted:
            i += 1
        low = self.at[i - 1] if i > 0 else -math.inf
        return max(low, wanted - self.offsets[i])


def offset_text(seconds):
    sign, seconds = "-" if seconds < 0 else "+", abs(seconds)
    return f"{sign}{seconds // 3600:02}{seconds // 60 % 60:02}"


def near(rng, zone):
    """An instant, mostly near a change of the zone's clocks, and the time of day then."""
    if zone.changes and rng.random() < 0.75:
        instant = rng.choice(zone.changes)
        civil = zone.civil(instant + rng.choice([-1, 0]))
        civil += dt.timedelta(minutes=rng.randrange(-150, 150))
    else:
        instant = rng.randrange(0, 4500000000)
        civil = zone.civil(instant)
    return instant, civil.replace(second=rng.choice([0, 0, 0, civil.second]), microsecond=0)
