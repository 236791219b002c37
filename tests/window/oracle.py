#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Compare haplua's windows with Python's zoneinfo and dateutil.

Asks random questions (specs, calendars with zones of their own, a zone, exceptions, an instant: which
occurrences come next?), many of them around changes of clocks, of haplua in one process and of the
computation below, which shares nothing with haplua's: dateutil gives the civil starts, zoneinfo the
instants, a search over UTC the end of a gap, and sets of intervals the rest. Where dateutil reads RFC 5545
in another way than haplua (README.md has the list), a search through all days gives the starts. Prints each
difference; exit status 1 if there is one.

    oracle.py HAPLUA [NUMBER [SEED]]
"""

import bisect
import concurrent.futures
import datetime as dt
import json
import os
import random
import subprocess
import sys

from dateutil import rrule

from rules import DAYS, ORDINALS, RULE_DAYS, numbers, rule_starts
from zones import DAY, EPOCH, UTC, ZONES, DescribedZone, Zone, near


def duration(rng):
    seconds = rng.choice([rng.randrange(1, 300), rng.randrange(300, 20000), rng.randrange(20000, 2 * DAY)])
    text = ""
    for unit, size in (("d", DAY), ("h", 3600), ("m", 60), ("s", 1)):
        n, seconds = divmod(seconds, size)
        text += f"{n}{unit}" if n else ""
    return text


def seconds_of(text):
    total, n = 0, ""
    for c in text:
        if c.isdigit():
            n += c
        else:
            total += int(n) * {"d": DAY, "h": 3600, "m": 60, "s": 1}[c]
            n = ""
    return total


def clock(seconds):
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}"
    return text + (f":{seconds % 60:02}" if seconds % 60 else "")


class Spec:
    """A spec's text, and its civil starts as a dateutil rule (or one civil time)."""

    is_calendar = False

    def __init__(self, text, starts, wall=None, elapsed=None, zone=None):
        self.text, self.starts, self.wall, self.elapsed, self.zone = text, starts, wall, elapsed, zone
        self.length = wall or elapsed

    def intervals(self, asking, low, high):
        """(opens, closes, day) of all that starts between two civil times, for rules before `high` only."""
        zone = self.zone or asking
        if isinstance(self.starts, dt.datetime):
            starts = [self.starts]
        else:
            starts = self.starts(low, high)
        for start in starts:
            opens = zone.first(start)
            if self.elapsed:
                closes = opens + self.elapsed
            else:
                closes = zone.first(start + dt.timedelta(seconds=self.wall))
            if closes > opens:
                yield opens, closes, (start if zone is asking else asking.civil(opens)).date()


def weekly(days, at, nth=None):
    """Civil starts on days of the week: dateutil's WEEKLY and MONTHLY rules."""
    def starts(low, high):
        begin = dt.datetime.combine(low.date(), dt.time()) + dt.timedelta(seconds=at)
        if nth:
            begin = begin.replace(day=1)
            weekdays = [RULE_DAYS[days[0]](n) for n in nth]
            rule = rrule.rrule(rrule.MONTHLY, dtstart=begin, until=high, byweekday=weekdays)
        else:
            rule = rrule.rrule(rrule.WEEKLY, dtstart=begin, until=high, byweekday=[RULE_DAYS[d] for d in days])
        return [s for s in rule if s >= low]
    return starts


def once_spec(rng, civil):
    start = civil.replace(second=0)
    if rng.random() < 0.5:
        text = duration(rng)
        return Spec(f"{start:%Y-%m-%dT%H:%M} for {text}", start, elapsed=seconds_of(text))
    wall = rng.randrange(1, 3000) * 60
    end = start + dt.timedelta(seconds=wall)
    return Spec(f"{start:%Y-%m-%dT%H:%M}/{end:%Y-%m-%dT%H:%M}", start, wall=wall)


def weekly_spec(rng, civil):
    at = civil.hour * 3600 + civil.minute * 60 + civil.second
    nth, kind = None, rng.random()
    if kind < 0.2:
        names, days = "daily", list(range(7))
    elif kind < 0.45:
        names = sorted(rng.sample(sorted(ORDINALS), rng.choice([1, 1, 2])))
        nth = [ORDINALS[n] for n in names]
        days = [civil.weekday()]
        names = ",".join(names) + " " + DAYS[days[0]]
    elif kind < 0.6:
        first, n = rng.randrange(7), rng.randrange(2, 7)
        days = [(first + i) % 7 for i in range(n)]
        names = f"{DAYS[days[0]]}..{DAYS[days[-1]]}"
    else:
        days = sorted(set([civil.weekday()] + rng.sample(range(7), rng.choice([0, 0, 1, 2]))))
        names = ",".join(DAYS[d] for d in days)
    starts = weekly(days, at, nth)
    if rng.random() < 0.4:
        text = duration(rng)
        return Spec(f"{names} {clock(at)} for {text}", starts, elapsed=seconds_of(text))
    if len(days) == 1 and rng.random() < 0.2:
        end_day, end = (days[0] + rng.randrange(1, 7)) % 7, rng.randrange(0, DAY, 60)
        wall = (end_day - days[0]) % 7 * DAY + end - at
        return Spec(f"{names} {clock(at)}-{DAYS[end_day]} {clock(end)}", starts, wall=wall)
    end = rng.choice([(at + rng.randrange(1, 200) * 60) % DAY, rng.randrange(0, DAY, 60), DAY])
    if end == at:
        end = (at + 60) % DAY
    return Spec(f"{names} {clock(at)}-{clock(end)}", starts, wall=(end - at) % DAY or DAY)


def dense_rule_spec(rng, zone, civil):
    """A rule by small steps, for some hours, whose occurrences often touch or overlap."""
    freq, size = rng.choice([("SECONDLY", 1), ("SECONDLY", 1), ("MINUTELY", 60), ("HOURLY", 3600), ("DAILY", DAY)])
    start = civil - dt.timedelta(seconds=rng.randrange(0, 9000))
    interval = rng.choice([1, 1, 2, 7, 60, 100]) if freq in ("SECONDLY", "MINUTELY") else 1
    parts = [f"FREQ={freq}", f"INTERVAL={interval}"]
    if rng.random() < 0.3 or freq == "DAILY":
        parts.append("BYHOUR=" + numbers(rng, 0, 23, rng.choice([20, 24])))
    if rng.random() < 0.4 or freq in ("HOURLY", "DAILY"):
        parts.append("BYMINUTE=" + numbers(rng, 0, 59, rng.choice([6, 57, 60])))
    if rng.random() < 0.4:
        parts.append("BYSECOND=" + numbers(rng, 0, 59, rng.choice([3, 40, 59, 60])))
    if rng.random() < 0.3:
        parts.append("BYDAY=" + ",".join(d.upper()[:2] for d in rng.sample(DAYS, 5)))
    count = rng.choice([None, rng.randrange(1, 20000)])
    until = start + dt.timedelta(seconds=rng.randrange(0, 30000))
    seconds = rng.choice([size * interval - 1, size * interval, size * interval + 1, rng.randrange(1, 10000)])
    limit = f"COUNT={count}" if count else f"UNTIL={until:%Y%m%dT%H%M%S}"
    last = until if not count else start + dt.timedelta(days=3)
    found = []
    try:
        for time in rrule.rrulestr("RRULE:" + ";".join(parts), dtstart=start):
            if time > last or count and len(found) == count:
                break
            found.append(time)
    except ValueError:  # dateutil refuses some rules that never give anything
        pass
    if count and len(found) < count:
        limit = f"UNTIL={last:%Y%m%dT%H%M%S}"

    def starts(low, high):
        return [time for time in found if low <= time <= high]

    seconds = max(seconds, 1)
    return Spec(f"DTSTART:{start:%Y%m%dT%H%M%S};RRULE:{';'.join(parts)};{limit} for {seconds}s", starts,
                elapsed=seconds)


def rule_spec(rng, zone, civil):
    if rng.random() < 0.1:
        return dense_rule_spec(rng, zone, civil)
    freqs = ["DAILY", "WEEKLY", "MONTHLY", "MONTHLY", "YEARLY", "YEARLY", "YEARLY", "HOURLY", "MINUTELY"]
    start = civil.replace(second=0) - dt.timedelta(days=rng.choice([0, 4, 300, 2000]) * rng.random() // 1)
    rule, all_starts = rule_starts(rng, start, freqs if (civil - start).days < 9 else freqs[:-2])
    limit, count, until = rng.random(), None, None
    if limit < 0.2:
        count = rng.randrange(1, 60)
        rule += f";COUNT={count}"
    elif limit < 0.35:
        until = start + dt.timedelta(days=rng.randrange(0, 1500), hours=rng.randrange(0, 24))
        rule += f";UNTIL={until:%Y%m%dT%H%M%S}"
    elif limit < 0.5:
        until = int(zone.first(start)) + rng.randrange(0, 1500 * DAY)
        rule += f";UNTIL={dt.datetime.fromtimestamp(until, UTC):%Y%m%dT%H%M%SZ}"

    def starts(low, high):
        found = all_starts(high)[:count]
        if isinstance(until, int):
            found = [s for s in found if zone.first(s) <= until]
        return [s for s in found if s >= low and not (isinstance(until, dt.datetime) and s > until)]

    text = duration(rng)
    own = rng.random() < 0.3
    tzid = f";TZID={zone.name}" if own else ""
    return Spec(f"DTSTART{tzid}:{start:%Y%m%dT%H%M%S};RRULE:{rule} for {text}", starts,
                elapsed=seconds_of(text), zone=zone if own else None)


def calendar_spec(rng):
    """An event of a calendar with a zone of its own, and an instant near one of the zone's changes."""
    zone = DescribedZone(rng)
    instant, civil = near(rng, zone)
    start = civil.replace(second=0) - dt.timedelta(days=rng.choice([0, 4, 300, 2000]) * rng.random() // 1)
    rule, all_starts = rule_starts(rng, start, ["DAILY", "WEEKLY", "MONTHLY", "YEARLY"])
    wall = rng.randrange(1, 3000) * 60
    elapsed = rng.random() < 0.3
    end = f"DURATION:PT{wall // 60}M" if elapsed else \
        f"DTEND;TZID=\"{zone.name}\":{start + dt.timedelta(seconds=wall):%Y%m%dT%H%M%S}"
    text = "\n".join(["BEGIN:VCALENDAR", zone.text, "BEGIN:VEVENT", "UID:1",
                      f"DTSTART;TZID=\"{zone.name}\":{start:%Y%m%dT%H%M%S}", end, "RRULE:" + rule, "END:VEVENT",
                      "END:VCALENDAR"])
    spec = Spec(text, lambda low, high: [s for s in all_starts(high) if s >= low], wall=None if elapsed else wall,
                elapsed=wall if elapsed else None, zone=zone)
    spec.is_calendar = True
    return spec, instant


def random_spec(rng, zone, civil):
    kind = rng.random()
    if kind < 0.2:
        return once_spec(rng, civil)
    if kind < 0.7:
        return weekly_spec(rng, civil)
    return rule_spec(rng, zone, civil)


def union(intervals):
    found = []
    for opens, closes in sorted(intervals):
        if found and opens <= found[-1][1]:
            found[-1][1] = max(found[-1][1], closes)
        else:
            found.append([opens, closes])
    return found


def subtract(intervals, holes):
    found = []
    starts = [h[0] for h in holes]
    for opens, closes in intervals:
        i = max(0, bisect.bisect_right(starts, opens) - 1)
        while i < len(holes) and holes[i][0] < closes:
            hole_opens, hole_closes = holes[i]
            if hole_closes > opens:
                if hole_opens > opens:
                    found.append([opens, hole_opens])
                opens = hole_closes
            i += 1
        if closes > opens:
            found.append([opens, closes])
    return found


class Question:
    """Some specs in a zone from an instant on."""

    def __init__(self, rng, zones):
        self.zone = rng.choice(zones)
        instant, civil = near(rng, self.zone)
        self.instant = instant - rng.randrange(0, rng.choice([3600, DAY, 9 * DAY]))
        if rng.random() < 0.1:
            spec, instant = calendar_spec(rng)
            self.instant = instant - rng.randrange(0, rng.choice([3600, DAY, 9 * DAY]))
            self.specs = [spec]
        else:
            self.specs = [random_spec(rng, self.zone, civil) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
        self.holes, self.days = [], []
        if rng.random() < 0.2:
            day = civil.date() + dt.timedelta(days=rng.randrange(-1, 2))
            self.days.append((day, day + dt.timedelta(days=rng.choice([0, 0, 3]))))
        if rng.random() < 0.15:
            _, other = near(rng, self.zone)
            self.holes.append(random_spec(rng, self.zone, rng.choice([civil, civil, other])))
        self.n = 3

    def text(self):
        excepted = [s.text for s in self.holes]
        excepted += [f"{a}..{b}" if b > a else f"{a}" for a, b in self.days]
        return json.dumps({"specs": [s.text for s in self.specs if not s.is_calendar],
                           "calendars": [s.text for s in self.specs if s.is_calendar], "tz": self.zone.name,
                           "except": excepted, "from": self.instant, "n": self.n})

    def between(self, back, ahead):
        low = self.zone.civil(self.instant) - dt.timedelta(days=back)
        high = self.zone.civil(self.instant) + dt.timedelta(days=ahead)
        found = []
        for specs, list_, days in ((self.specs, [], self.days), (self.holes, [], [])):
            for spec in specs:
                list_ += [(o, c) for o, c, day in spec.intervals(self.zone, low, high)
                          if not any(a <= day <= b for a, b in days)]
            found.append(union(list_))
        return subtract(*found)

    def refused(self):
        """Do the clocks jump over a window with a date? haplua refuses it."""
        return any(isinstance(s.starts, dt.datetime) and not list(s.intervals(self.zone, None, None))
                   for s in self.specs + self.holes)

    def answer(self):
        """The first occurrences, and the instant up to which there are no others. None: windows that
        follow each other without a gap for very long."""
        back, ahead = 15, 40
        while True:
            sure_from = self.instant - (back - 11) * DAY
            sure_to = self.instant + (ahead - 11) * DAY
            found = [i for i in self.between(back, ahead) if i[1] > self.instant]
            if found and found[0][0] < sure_from:
                back *= 4
                if back > 800:
                    return None
                continue
            sure = [i for i in found if i[1] < sure_to]
            if len(sure) >= self.n or ahead > 600:
                return sure[:self.n], sure_to
            ahead *= 4


def same(expected, sure_to, answer):
    """Does haplua's answer have the expected occurrences, and others only where Python has not searched?"""
    try:
        found = [int(float(word.replace("inf", "1e15"))) for word in answer.split()]
    except ValueError:
        return False
    n = 2 * len(expected)
    return found[:n] == [x for i in expected for x in i] and (len(found) == n or found[n + 1] >= sure_to)


def gave_up(question, expected, answer):
    """Did haplua refuse a long search: Python has not found all occurrences either, or looked through months?"""
    far = len(expected) < question.n or expected[-1][0] > question.instant + 100 * DAY
    return far and "recurs too often to be searched through" in answer


def ask(haplua, number, seed):
    """Ask and compare. Returns the number of boundaries, the number of questions left out, and the differences."""
    rng = random.Random(seed)
    zones = [Zone(name) for name in ZONES]
    questions = [Question(rng, zones) for _ in range(number)]
    asked = "".join(q.text() + "\n" for q in questions)
    with subprocess.Popen([haplua, "tests/window/answer.lua"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as process:
        answers = process.communicate(asked)[0].splitlines()
    if len(answers) != number:
        return 0, 0, [f"{len(answers)} answers to {number} questions"]
    boundaries, endless, different = 0, 0, []
    for question, answer in zip(questions, answers):
        if question.refused():
            if "never opens" not in answer:
                different.append(f"{question.text()}\n  python: never opens\n  haplua: {answer}")
            continue
        expected = question.answer()
        if expected is None or gave_up(question, expected[0], answer):
            endless += 1
            continue
        boundaries += 2 * len(expected[0])
        if not same(*expected, answer):
            text = " ".join(f"{o} {c}" for o, c in expected[0])
            different.append(f"{question.text()}\n  python: {text}\n  haplua: {answer}")
    return boundaries, endless, different


def main():
    haplua, number = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 6000
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else random.randrange(1 << 32)
    parts = os.cpu_count() or 1
    each = [number // parts + (i < number % parts) for i in range(parts)]
    with concurrent.futures.ProcessPoolExecutor(parts) as pool:
        found = list(pool.map(ask, [haplua] * parts, each, range(seed, seed + parts)))
    boundaries, endless = sum(f[0] for f in found), sum(f[1] for f in found)
    different = [text for f in found for text in f[2]]
    for text in different[:20]:
        print(text)
    print(f"oracle: {number} questions in {len(ZONES)} zones, {boundaries} boundaries, {endless} without end "
          f"left out, {len(different)} different (seed {seed}, {parts} processes)")
    sys.exit(1 if different or boundaries < number else 0)


if __name__ == "__main__":
    main()
