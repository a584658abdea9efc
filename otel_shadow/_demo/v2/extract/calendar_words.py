"""The calendar's words, folded, and the fragments of patterns that are made of them."""

from __future__ import annotations

WEEKDAYS = {
    name: day
    for day, names in enumerate(
        (
            "segunda seg 2a monday mon mondays",
            "terca ter 3a tuesday tue tues tuesdays",
            "quarta qua 4a wednesday wed weds wednesdays",
            "quinta qui 5a thursday thu thur thurs thursdays",
            "sexta sex 6a friday fri fridays",
            "sabado sab saturday sat saturdays",
            "domingo dom sunday sun sundays",
        )
    )
    for name in names.split()
}
MONTHS = {
    name: month
    for month, names in enumerate(
        (
            "janeiro january jan",
            "fevereiro february fev feb",
            "marco march mar",
            "abril april abr apr",
            "maio mai may",
            "junho june jun",
            "julho july jul",
            "agosto august ago aug",
            "setembro september set sep",
            "outubro october out oct",
            "novembro november nov",
            "dezembro december dez dec",
        ),
        start=1,
    )
    for name in names.split()
}
# Short names that are words of their own ("ter", "sex", "sat", "may", "out") count only where the context is a date.
LONG_DAY = r"(?:segunda|terca|quarta|quinta|sexta|sabado|domingo|(?:mon|tues|wednes|thurs|fri|satur|sun)days?)"
WD = rf"(?P<wd>{'|'.join(sorted(WEEKDAYS, key=len, reverse=True))})(?:[\s-]*feira)?\b\.?"
M = rf"(?P<m>{'|'.join(sorted(MONTHS, key=len, reverse=True))})\b\.?"
D = r"(?P<d>3[01]|[12]\d|0?[1-9])(?:\s?(?:st|nd|rd|th)\b|o\b|\b)"
ORD = r"(?P<d>3[01]|[12]\d|0?[1-9])\s?(?:st|nd|rd|th)\b"
Y = r"(?P<y>(?:19|20)\d\d|'?\d\d)"
Y4 = r"(?P<y>(?:19|20)\d\d)"
LEAD = rf"(?:{WD}\s*,?\s*(?:(?:on|the|dia|o|no dia|em|de)\s+)*)?"
TRAIL = r"(?:\s*,?\s*(?:(?:on|que e|uma|na)\s+)?(?P<wd2>" + LONG_DAY + r")(?:[\s-]*feira)?)?"
NO_CLOCK = r"(?!\s*(?::|h\b|hs\b|hrs?\b|horas?\b|am\b|pm\b|a\.m|p\.m|o'?clock|(?:da|de) (?:manha|tarde|noite)))"
UNIT = r"(?P<unit>dias?|days?|semanas?|weeks?|m[e]s(?:es)?|months?|anos?|years?|fortnights?)"
COUNT = r"(?P<n>\d{1,3}|um|uma|an?|a couple(?: of)?|couple(?: of)?|uns|umas)"
NEXT = r"(?P<next>proxim[oa]s?|next|seguinte|following)"
THIS = r"(?P<this>este|esta|est[ea]s|ess[ea]|nest[ea]|ness[ea]|desse|dessa|dest[ea]|this|coming|this coming|upcoming)"
LAST = r"(?P<last>ultim[oa]|last|past|previous)"
NEXT_WEEK = r"(?:(?:da|na) (?:proxima semana|semana que vem|outra semana)|(?:of )?next week)"
THIS_WEEK = r"(?:(?:d?esta|d?essa|nest[ea]|ness[ea]) semana|(?:of )?this week)"
LAST_WEEK = r"(?:da (?:semana passada|ultima semana)|(?:of )?last week)"
NOT_A_DAY = (
    r"(?!\s*(?:of all|floor|grade|time|class|person|child|kid|son|daughter|ave|avenue|street|st\b|road|option|one\b|"
    r"year|place|birthday|party|name|andar|serie|ano\b|vez|filh|opcao|semestre|trimestre|semana|"
    r"century|edition|quarter))"
)
DAYS = {
    "depois de amanha": 2,
    "day after tomorrow": 2,
    "amanha": 1,
    "tomorrow": 1,
    "hoje": 0,
    "today": 0,
    "tonight": 0,
    "this": 0,
    "ontem": -1,
    "yesterday": -1,
    "last night": -1,
    "anteontem": -2,
    "antes de ontem": -2,
    "day before yesterday": -2,
}


REL = "|".join(sorted((name for name in DAYS if name != "this"), key=len, reverse=True)).replace(" ", r"\s+")
OF_MONTH = (
    r"\s+(?:of|in|do|de|no|d)\s*(?:the\s+)?(?:(?P<next>proximo mes|mes que vem|mes seguinte|next month|coming month)|"
    r"(?P<last>mes passado|last month)|este mes|esse mes|deste mes|desse mes|this month|the month|mes|"
    r"current month)\b"
)
# The n-th of something, as words that normal form leaves alone; -1 is the last.
NTH = {
    "primeir[oa]|1th|1st|1[oa]": 1,
    "segund[oa]|second|2nd|2[oa]": 2,
    "terceir[oa]|3th|3rd|3[oa]": 3,
    "quart[oa]|4th|4[oa]": 4,
    "quint[oa]|5th|5[oa]": 5,
    "ultim[oa]|last": -1,
}
