"""Enhanced status codes (RFC 3463) for reports that give one, half of one, or only words."""

import re

_ENHANCED = re.compile(r"(?<![\d.])([245])\.([0-7])\.(\d{1,3})(?![\d.]*\d)")
_REPLY = re.compile(
    r"(?:^|(?<=[\s:;'\"\[(<>#-]))([45][0-5]\d)(?=[\s:;,\]#'\"-]|$)"
    r"(?!\s*(?:hours?|days?|minutes?|seconds?|min|bytes|kb|mb|attempts?|messages?)\b)"
)
_TOLD = {
    # Subject and detail of RFC 3463 section 3, and how servers say it; looked for in this order.
    "1.8": ("sender address", "unroutable sender", "sender (?:domain|verif)"),
    "2.2": (
        "box (?:is |was |of .{0,60} is )?full",
        "full (?:mail)?box",
        "box space not enough|exceeding their quota|quota violation",
        "over ?quota",
        "quota (?:exceeded|full)",
        r"(?:disk|mailbox|storage|user|exceed\w*|over(?: the)?) .{0,20}quota",
        "over its (?:limit|size)",
        "(?:insufficient|not enough) (?:disk )?(?:space|storage)",
        "exceeds allowed size: ",
        "exceeded (?:the local limit|storage)",
        "postfach .{0,20}voll|überfüllt|speicherplatz|bo[iî]te .{0,30}pleine|quota dépassé",
        "buzón .{0,20}lleno|caixa .{0,30}cheia|casella .{0,20}piena|postbus .{0,10}vol",
        "skrzynka .{0,20}(?:pełna|przepełniona)",
        "переполнен|kutusu dolu|容量オーバー|容量を超|容量が不足|いっぱい",
        "邮箱.{0,6}满|空间不足|信箱.{0,6}滿|용량.{0,6}초과",
    ),
    "3.4": (
        "size limit",
        "too (?:large|big)",
        "message size",
        "exceeds? (?:the )?(?:maximum|size|fixed)",
    ),
    "4.6": ("too many hops", "(?:mail|message) loop", "loop(?:ing)? detected", "routing loop"),
    "1.2": (
        "host unknown",
        "unknown host",
        "host (?:or domain )?(?:name )?not found",
        "domain not found",
        "no such domain",
        "unrout(?:e)?able",
        "domain (?:name )?does not exist",
        "couldn't find (?:any|a) (?:host|mail exchanger)",
    ),
    "4.4": (
        "name service error",
        "mail exchanger",
        "mx (?:record|or srv)",
        "no route to host",
        "null mx",
        "does not accept mail",
    ),
    "2.1": (
        "disabled|suspended|inactive|discontinued|deactivated|locked|not active|frozen",
        "no longer (?:accepts|valid|available|in use)",
    ),
    "1.1": (
        "(?:user|recipient|address|local part|addressee) unknown|unknown user",
        "user (?:is )?not known|did not exactly match",
        "unknown (?:recipient|address|local part)",
        "no such (?:user|recipient|mailbox|address|person)",
        "invalid (?:user|recipient|mailbox|address)",
        "(?:user|mailbox|recipient|address|account)[^.]{0,80}(?:not found|unknown|not exist)",
        "(?:user|mailbox|recipient|address|account)[^.]{0,80}(?:doesn't exist|doesn't have)",
        "doesn't have a .{0,60}account",
        "not recognized|not listed|no mailbox here|mailbox unavailable|recipnotfound",
        "possibly incorrect|wasn't found|could ?n[o']t be found",
        "ディレクトリのリストにありません|存在しま|宛先不明|見つかりません",
        "(?:empfänger|benutzer|postfach|adresse).{0,40}(?:unbekannt|existiert nicht|nicht gefunden)",
        "n'existe pas|destinataire inconnu|no existe|desconocid|não existe|desconhecid|non esiste|sconosciut",
        "bestaat niet|onbekende (?:ontvanger|gebruiker)|nie istnieje|nieznany",
        "не существует|не найден|неизвестн",
        "bulunamadı|不存在|查无此|查無此|无此用户|無此用戶|존재하지 않|없는 (?:사용자|계정|메일)",
    ),
    "1.3": ("malformed address", "bad (?:address|destination) syntax", "syntax error in"),
    "7.1": (
        "relay(?:ing)? (?:access )?denied|relaying|not permitted to relay",
        "spam|blocked|block ?list|blacklist|dnsbl|unsolicited|virus|reputation",
        "policy|access denied|forbidden|not allowed|prohibit|unauthori[sz]ed|refused",
        "rejected by .{0,40}filter",
        "reverse dns|rdns|ptr record|authenticat|dmarc|spf",
    ),
    "4.7": (
        "retry time|timed? ?out|timeout|giving up|expired|delayed|failing for a long time",
        "too long in the queue|in the queue too long",
        r"could not deliver for the last|message for \d+ days|within \d+ days",
        "for past .{0,20}(?:hours?|days?)",
    ),
    "4.1": (
        "connect(?:ion)?|not responding|network error|host not reachable|unreachable",
        "smtp connection|no answer|socket error",
    ),
}
_WORDS = tuple((re.compile("|".join(phrases)), code) for code, phrases in _TOLD.items())
_FINAL = re.compile(
    r"permanent|failed permanently|dauerhaft|définitive|permanente|will not be retried|no further"
)
_CONDITIONS_THAT_PASS = ("4.1", "4.7")


def is_temporary(status: str, action: str) -> bool:
    """Whether a later try may succeed: 4.x.x, or the report only tells of a delay."""
    return action == "delayed" or status.startswith("4.")


def status_in(status: str, diagnostic: str, action: str) -> str:
    """The status of a machine-readable report, made precise or supplied by its diagnostic text.

    An `x.0.0` gives way to the detail the foreign server named in the same class; without a status the
    diagnostic decides, and without that the action (`delayed` 4.0.0, `failed` 5.0.0, else 2.0.0).
    """
    stated = _ENHANCED.search(status)
    if stated and (stated[2], stated[3]) != ("0", "0"):
        return stated[0]
    detail = status_of_text(diagnostic, action) if diagnostic else ""
    if stated:
        return detail if detail.startswith(stated[1]) else stated[0]
    return detail or _by_action(action)


def status_of_text(text: str, action: str, verdict: str = "") -> str:
    """The status that `text` tells: a code in it, else its words. Empty when it tells neither.

    `verdict` is what the report says around `text`: whether it calls the failure permanent.
    """
    folded = " ".join(text.split()).casefold().replace("’", "'")
    enhanced = [match for match in _ENHANCED.finditer(folded) if match[1] != "2"]
    precise = next((m for m in enhanced if (m[2], m[3]) != ("0", "0")), None)
    if precise is not None:
        return precise[0]
    reply = _REPLY.search(folded)
    if enhanced or reply:
        code = enhanced[0][1] if enhanced else reply[1][0] if reply else ""
        full = reply is not None and reply[1] in ("452", "552")
        return f"{code}.{_detail(folded, code) or ('2.2' if full else '0.0')}"
    detail = _detail(folded, "")
    if not detail:
        return ""
    final = _FINAL.search(f"{folded} {verdict}".casefold())
    passing = action == "delayed" or (detail in _CONDITIONS_THAT_PASS and not final)
    return f"{'4' if passing else '5'}.{detail}"


def _detail(folded: str, code: str) -> str:
    """Subject and detail that the words tell; what passes with time is no detail of a refusal (5)."""
    told = (detail for pattern, detail in _WORDS if pattern.search(folded))
    return next((d for d in told if code != "5" or d not in _CONDITIONS_THAT_PASS), "")


def _by_action(action: str) -> str:
    return {"delayed": "4.0.0", "failed": "5.0.0", "": "5.0.0"}.get(action, "2.0.0")
