# SPDX-License-Identifier: MIT
"""Random recurrence rules, and their starts: by dateutil, or by a search through all days."""

import datetime as dt
import itertools

from dateutil import rrule

DAYS = "Mon Tue Wed Thu Fri Sat Sun".split()
RULE_DAYS = [rrule.MO, rrule.TU, rrule.WE, rrule.TH, rrule.FR, rrule.SA, rrule.SU]
ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "last": -1}


def numbers(rng, low, high, n, back=False):
    found = rng.sample(range(low, high + 1), min(n, high - low + 1))
    return ",".join(str(-x if back and rng.random() < 0.3 else x) for x in sorted(found))


def by_parts(rng, freq):
    """BY parts in all combinations that RFC 5545 allows, as a dictionary of texts."""
    by = {}

    def maybe(chance, name, value):
        if rng.random() < chance:
            by[name] = value

    few, some, many = rng.randrange(1, 4), rng.randrange(1, 12), rng.randrange(1, 60)
    days = [d.upper()[:2] for d in rng.sample(DAYS, rng.choice([1, 1, 2, 5]))]
    maybe(0.3, "BYMONTH", numbers(rng, 1, 12, rng.randrange(1, 6)))
    if freq == "YEARLY":
        maybe(0.3, "BYWEEKNO", numbers(rng, 1, 53, rng.choice([few, some]), True))
    if freq in ("YEARLY", "HOURLY", "MINUTELY"):
        maybe(0.25, "BYYEARDAY", numbers(rng, 1, 366, many, True))
    if freq != "WEEKLY":
        maybe(0.3, "BYMONTHDAY", numbers(rng, 1, 31, rng.choice([few, some]), True))
    if freq in ("MONTHLY", "YEARLY") and "BYWEEKNO" not in by and rng.random() < 0.4:
        most = 5 if freq == "MONTHLY" or "BYMONTH" in by else 53
        by["BYDAY"] = ",".join(rng.choice(["", "1", "2", "-1", "-2", str(rng.randint(-most, most) or 1)]) + d
                               for d in days)
    else:
        maybe(0.45, "BYDAY", ",".join(days))
    maybe(0.4 if freq in ("HOURLY", "MINUTELY") else 0.15, "BYHOUR", numbers(rng, 0, 23, rng.choice([few, some])))
    maybe(0.1, "BYMINUTE", numbers(rng, 0, 59, few))
    if by:
        size = rng.choice([2, 4, 30])
        maybe(0.3, "BYSETPOS", numbers(rng, 1, size, rng.choice([1, 1, 2]), True))
    return by


def integers(text):
    return {int(n) for n in text.split(",")} if text else set()


def week_of(day, wkst):
    """The year of a day's week, the week's number in it and the number of weeks in that year."""
    fourth = day - dt.timedelta(days=(day.weekday() - wkst) % 7 - 3)
    number = (fourth.timetuple().tm_yday - 1) // 7 + 1
    last = fourth
    while (last + dt.timedelta(days=7)).year == fourth.year:
        last += dt.timedelta(days=7)
    return fourth.year, number, (last.timetuple().tm_yday - 1) // 7 + 1


def by_definition(freq, interval, by, wkst, start, high):
    """The starts of a rule by weeks, months or years up to `high`: all days are looked at, one after the other."""
    months, dates = integers(by.get("BYMONTH")), integers(by.get("BYMONTHDAY"))
    year_days, weeks = integers(by.get("BYYEARDAY")), integers(by.get("BYWEEKNO"))
    days = [(int(d[:-2] or 0), [x.upper()[:2] for x in DAYS].index(d[-2:])) for d in by["BYDAY"].split(",")] \
        if "BYDAY" in by else []
    if not dates and not days and not year_days:
        if weeks or freq == "WEEKLY":
            days = [(0, start.weekday())]
        else:
            dates = {start.day}
            months = months or ({start.month} if freq == "YEARLY" else set())
    week_names = {}

    def week(day):
        first = day - dt.timedelta(days=(day.weekday() - wkst) % 7)
        if first not in week_names:
            week_names[first] = week_of(day, wkst)
        return week_names[first]

    def period(day):
        if freq == "WEEKLY":
            return (day.toordinal() - wkst - 1) // 7
        if freq == "MONTHLY":
            return day.year * 12 + day.month
        return week(day)[0] if weeks else day.year

    def passes(day):
        in_year = day.timetuple().tm_yday
        year_length = dt.date(day.year, 12, 31).timetuple().tm_yday
        length = ((day.replace(day=28) + dt.timedelta(days=4)).replace(day=1) - dt.timedelta(days=1)).day
        at, of = (day.day, length) if freq == "MONTHLY" or months else (in_year, year_length)
        if months and day.month not in months or dates and not dates & {day.day, day.day - length - 1}:
            return False
        if year_days and not year_days & {in_year, in_year - year_length - 1}:
            return False
        if weeks and not weeks & {week(day)[1], week(day)[1] - week(day)[2] - 1}:
            return False
        return not days or any(d == day.weekday() and n in (0, (at - 1) // 7 + 1, -((of - at) // 7) - 1)
                               for n, d in days)

    times = [dt.time(h, m) for h in sorted(integers(by.get("BYHOUR")) or {start.hour})
             for m in sorted(integers(by.get("BYMINUTE")) or {start.minute})]
    groups, day = {}, start.date() - dt.timedelta(days=380)
    while day <= high.date() + dt.timedelta(days=380):
        if (period(day) - period(start.date())) % interval == 0 and passes(day):
            groups.setdefault(period(day), []).extend(dt.datetime.combine(day, time) for time in times)
        day += dt.timedelta(days=1)
    found, positions = [], integers(by.get("BYSETPOS"))
    for group in groups.values():
        found += [time for i, time in enumerate(group)
                  if not positions or positions & {i + 1, i - len(group)}]
    return [time for time in found if start <= time <= high]


def differs(freq, interval, by, start, wkst):
    """Does dateutil read such a rule in another way?"""
    days = by.get("BYDAY", "").split(",")
    weeks = integers(by.get("BYWEEKNO"))
    if weeks:
        return interval > 1 or "BYSETPOS" in by or "BYDAY" not in by or any(abs(n) < 2 or abs(n) > 51 for n in weeks)
    if freq == "WEEKLY" and "BYSETPOS" in by:
        return start.weekday() != wkst
    return len({len(d) > 2 for d in days}) > 1


def up_to(rule, high):
    """The starts of a dateutil rule up to a civil time. dateutil searches up to the end of datetime.MAXYEAR."""
    longest, dt.MAXYEAR = dt.MAXYEAR, high.year + 1
    try:
        return list(itertools.takewhile(lambda time: time <= high, iter(rule)))
    finally:
        dt.MAXYEAR = longest


def rule_starts(rng, start, freqs):
    """A random rule: its text, and a function that returns its starts up to a civil time."""
    freq = rng.choice(freqs)
    interval = rng.choice([1, 1, 1, 2, 3, 5])
    if freq == "MINUTELY":
        interval = rng.randrange(7, 300)
    by = by_parts(rng, freq)
    wkst = rng.randrange(7) if rng.random() < 0.3 else 0
    parts = ["FREQ=" + freq] + [f"{name}={value}" for name, value in by.items()]
    if interval > 1:
        parts.append(f"INTERVAL={interval}")
    if wkst:
        parts.append("WKST=" + DAYS[wkst].upper()[:2])
    rng.shuffle(parts)
    text = ";".join(parts)
    if differs(freq, interval, by, start, wkst):
        return text, lambda high: by_definition(freq, interval, by, wkst, start, high)
    try:
        rule = rrule.rrulestr("RRULE:" + text, dtstart=start)
        up_to(rule, start)
    except ValueError:  # dateutil refuses some rules that never give anything
        return text, lambda high: []

    return text, lambda high: up_to(rule, high)
