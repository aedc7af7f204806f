"""Words by which automatic mail is known, in many languages. Alone they prove nothing (D7).

Every function looks at a bounded piece of its text in one pass.
"""

import re

LOOKED_AT = 2000
_BLANK = re.compile(r"\s+")


def folded(text: str) -> str:
    """The beginning of `text` in lower case with single spaces and straight quotes."""
    return _BLANK.sub(" ", text[:LOOKED_AT]).strip().casefold().replace("’", "'")


_REPORT_SUBJECT = re.compile(
    r"undeliver(?:ed|able)|returned mail|mail (?:delivery|failure|system error)|"
    r"delivery (?:status|failure|has failed|notification|error|problem|report)|"
    r"(?:message|email|mail) (?:you sent blocked|delivery|could not be delivered|not delivered)|"
    r"failure (?:notice|delivery)|non-?delivery|nondeliverable|delayed mail|(?:message|mail) delayed|"
    r"permanent (?:delivery )?failure|warning: (?:could not send|message)|could not send|"
    r"notice: mail delivery|bounced mail|returned to sender|returning message|delivery delayed|"
    r"rejected mail|there was an error sending your mail|"
    r"unzustellbar|nicht zugestellt|zustellung (?:fehlgeschlagen|verzögert)|"
    r"non remis|échec de la remise|non distribu|remise retardée|"
    r"no se puede entregar|no entregad|error en la entrega|devuelto|"
    r"não entregue|não foi entregue|falha na entrega|devolvid|"
    r"non recapitabile|impossibile recapitare|mancato recapito|"
    r"onbestelbaar|niet bezorgd|niedostarczon|nie dostarczon|zwrot poczty|"
    r"kunde inte levereras|olevererbart|kan ikke leveres|ikke levert|uleverbar|"
    r"ei voitu toimittaa|toimittamat|nedoručiteln|nedoručen|kézbesíthetetlen|"
    r"teslim edilemedi|iletilemedi|не доставлено|недоставленное|не удалось доставить|"
    r"не може бути доставлен|配信不能|配信できません|配信エラー|送信エラー|未达|无法投递|退信|無法傳遞|退件|"
    r"배달되지|전달 실패|תקלה במסירה|לא נמסר|تعذر التسليم|لم يتم تسليم"
)
_PROGRAMS_PREFIX = re.compile(
    r"\b(?:warning|notice|notification|alert|error|failure|status|message|warnung|hinweis|fehler) ?[:：]"
)


def names_report(subject: str) -> bool:
    """Whether `subject` is one of a delivery report, and not a person's reply or forward of one.

    The prefixes of replies and forwards are as many as languages; all put a colon before the words.
    """
    told = folded(subject)
    found = _REPORT_SUBJECT.search(told)
    if found is None:
        return False
    before = _PROGRAMS_PREFIX.sub("", told[: found.start()])
    return ":" not in before and "：" not in before


_FAILURE_TEXT = re.compile(
    r"(?:could|can) ?not be delivered|couldn't be delivered|was not delivered|wasn't delivered|"
    r"unable to deliver|not able to deliver|wasn't able to deliver|error delivering|"
    r"delivery (?:to the following|has failed|failed|attempts)|deliver(?:y|ing) .{0,40}failed|"
    r"did not reach the following|following (?:address|recipient)s?.{0,60}(?:fail|error|problem)|"
    r"permanent (?:fatal |delivery )?error|undeliverable|returned to sender|"
    r"delivery status notification|while attempting to deliver|had trouble delivering|"
    r"trying to deliver (?:the|your) mail|has been delayed|has not yet been delivered|"
    r"is delayed for more than|transcript of session follows|invalid user address|"
    r'"notificationtype" ?: ?"bounce"|'
    r"was rejected by a remote|exceeds allowed size: |"
    r"konnte nicht zugestellt|nicht übermittelt werden|n'a pas pu [êe]tre (?:remis|distribu|d[ée]livr)|"
    r"no se pudo entregar|no ha podido entregarse|não pôde ser entregue|não foi possível entregar|"
    r"non è stato possibile recapitare|kon niet worden (?:bezorgd|afgeleverd)|"
    r"nie (?:może|mogła) (?:być|zostać) dostarczon|не может быть доставлен|не было доставлено|"
    r"送信できませんでした|配信できませんでした|お届けできません|无法(?:投递|送达|发送)|無法(?:傳遞|投遞)"
)


def tells_failure(text: str) -> bool:
    """Whether the beginning of `text` speaks of mail that was not delivered."""
    return _FAILURE_TEXT.search(folded(text)) is not None


_SMTP_WORDS = re.compile(
    r"(?<![\d.])[45]\.[0-7]\.\d{1,3}(?![\d.])|(?<!\S)[45][0-5]\d[ -][45]\.\d|final-recipient:|"
    r"smtp error|mailer-daemon|remote (?:host|server|mta) (?:said|returned|replied)|smtp;|"
    r"message-id: ?<|rcpt to:"
)


_OWN_LINE = re.compile(
    r"^[ \t>*\"'<-]{0,20}([^\s<>\"'@]{1,64}@[^\s<>\"'@]{1,255}?)[\"'>:]{0,3}[ \t]*$", re.MULTILINE
)
_MESSAGE_FAILED = re.compile(
    r"(?:message|e-?mail|mail)\b.{0,160}(?:could not be|couldn't be|was not|cannot be|not been) delivered|"
    r"(?:unable|not able) to deliver (?:your |the |this )?(?:message|e-?mail|mail)|"
    r"delivery to the following|following (?:recipient|address)"
)


def lists_failed_address(text: str, sender: str) -> bool:
    """Whether `text` says that a message failed and names an address, not `sender`'s, on its own line."""
    if _MESSAGE_FAILED.search(folded(text)) is None:
        return False
    named = _OWN_LINE.finditer(text[:LOOKED_AT])
    return any(match[1].lower() != sender.lower() for match in named)


def quotes_smtp(text: str) -> bool:
    """Whether the beginning of `text` holds what only mail systems write: codes, commands, fields."""
    return _SMTP_WORDS.search(folded(text)) is not None


_AUTOMATIC_REPLY = (
    r"(?:out of office[ :-]{1,3})?\[?auto"
    r"(?:mat(?:ic|ed|ische?[rs]?|isch|isk|iskt|ická|yczna|ikus|isches))?[ -]?"
    r"(?:reply|replied|response|respons|responder|answer|antwort|antwoord|svar|vastaus|odpověď|"
    r"odpowiedź|válasz)|automatische (?:abwesenheit|rückmeld)\w*|"
    r"abwesenheits(?:notiz|assistent|nachricht)|afwezigheids\w*|frånvaromeddelande|message d'absence|"
    r"autosvar|automaattinen vastaus|automaatvastus|automatická odpoveď|balasan otomatis|"
    r"samodejni odgovor|automatski odgovor|automatinis atsakymas|automātiska atbilde|"
    r"réponse automatique|respuesta automática|resposta autom[áà]tica|risposta automatica|"
    r"odpowiedź automatyczna|otomatik yanıt|răspuns automat|"
    r"trả lời tự động|ตอบกลับอัตโนมัติ|автоматичен отговор|"
    r"автоматический ответ|автоответ(?:чик)?|автоматична відповідь|αυτόματη απάντηση|"
    r"自動(?:返信|応答|回覆|回复|答覆)|自动(?:答复|回复)|자동 ?(?:회신|응답)|"
    r"תגובה אוטומטית|מענה אוטומטי|رد تلقائي|الرد التلقائي"
)
_ABSENCE = (
    r"out[ -]of[ -](?:the[ -])?office|ooo|away from (?:the|my) (?:office|mail)|on vacation|vacation|"
    r"abwesenheit\w*|abwesend|nicht im büro|"
    r"absence(?: du bureau)?|absent du bureau|message d'absence|fuera de (?:la )?oficina|ausente|"
    r"ausência|fora do escritório|fuori ufficio|assenza|afwezig\w*|niet aanwezig|"
    r"frånvaro\w*|fravær\w*|poissa\w*|nieobecno\w*|mimo kancelář|házon kívül|ofis dışında|"
    r"вне офиса|не в офисе|εκτός γραφείου|外出|不在|休假|부재|מחוץ למשרד|خارج المكتب"
)
_END = r"\]?(?: (?:message|notice|notification|from [^:]{0,60}|de [^:]{0,60}))?\s?(?:[:：\]]|-\s|$)"
_NOTES = r"auto: .{1,80}(?:out of (?:the )?office|returning|abwesend|absent|fuori|ausente)"
_AUTOMATIC_REPLY_SUBJECT = re.compile(rf"(?:{_AUTOMATIC_REPLY}){_END}|{_NOTES}")
_ABSENCE_OF_SUBJECT = re.compile(rf"(?:{_ABSENCE}){_END}")
_ABSENCE_SUBJECT = re.compile(rf"{_AUTOMATIC_REPLY}|{_ABSENCE}")
_ABSENCE_TEXT = re.compile(
    r"out of (?:the )?office|away from (?:the|my) (?:office|desk)|on (?:annual )?(?:leave|vacation|holiday)|"
    r"(?:will|i'll) be (?:back|returning|traveling|travelling|away)|limited access to (?:my )?e-?mail|"
    r"automatic(?:ally generated)? (?:reply|response)|auto-?(?:reply|response)|automated (?:reply|response)|"
    r"no longer (?:in use|working|work|employed|with)|will respond .{0,40}when i return|"
    r"nicht im büro|außer haus|abwesend|bin ich wieder|automatische (?:antwort|nachricht)|im urlaub|"
    r"absent\w* (?:du|jusqu|pour)|de retour le|réponse automatique|en congé|"
    r"fuera de la oficina|de vacaciones|respuesta automática|ausente hasta|"
    r"fora do escritório|de férias|resposta automática|ausente até|"
    r"fuori (?:sede|ufficio)|in ferie|risposta automatica|assente (?:fino|dal)|"
    r"afwezig|met vakantie|niet op kantoor|automatisch antwoord|"
    r"inte på kontoret|på semester|tillbaka den|automatiskt svar|på ferie|ikke på kontoret|"
    r"poissa|lomalla|nieobecn|na urlopie|mimo kancelář|dovolen|szabadság|"
    r"ofis dışında|izindeyim|в отпуске|вне офиса|отсутств|у відпустці|відсутн|"
    r"不在|休暇|自動(?:返信|送信|回覆)|休假|出差|自动回复|不在办公室|휴가|부재중|"
    r"לא (?:נמצא|אהיה) במשרד|בחופשה|خارج المكتب|في إجازة"
)


_MARKS = re.compile(r"(?:\[[^\]]{1,40}\] ?|ext(?:ern(?:al)?)? ?[:：] ?){0,5}")
_ANOTHER_SUBJECT = re.compile(r"[:：] ?\S")


def _begins(pattern: re.Pattern[str], subject: str) -> bool:
    """Whether `subject` begins so, or does behind the marks that servers put before it ("[EXTERNAL]")."""
    told = folded(subject)
    return pattern.match(told) is not None or pattern.match(told, _after_marks(told)) is not None


def _after_marks(told: str) -> int:
    marks = _MARKS.match(told)
    return marks.end() if marks else 0


def names_automatic_reply(subject: str) -> bool:
    """Whether `subject` begins as programs begin it ("Automatic reply: …"), which people do not."""
    return _begins(_AUTOMATIC_REPLY_SUBJECT, subject)


def carries_subject(subject: str) -> bool:
    """Whether something follows a colon in `subject`, as the subject answered does."""
    told = folded(subject)
    return _ANOTHER_SUBJECT.search(told, _after_marks(told)) is not None


def names_absence_of(subject: str) -> bool:
    """Whether `subject` is an absence put before another subject ("Out of office: …"), or alone."""
    return _begins(_ABSENCE_OF_SUBJECT, subject)


def names_absence(subject: str) -> bool:
    """Whether `subject` begins with words of automatic replies; for mail known to be automatic."""
    return _begins(_ABSENCE_SUBJECT, subject)


def tells_absence(text: str) -> bool:
    """Whether the beginning of `text` says that the person is away or that a program replies."""
    return _ABSENCE_TEXT.search(folded(text)) is not None


_RECEIPT_SUBJECT = re.compile(
    r"(?:not read|read|gelesen|ungelesen|lu|non lu|leído|no leído|lida|não lida|letto|non letto|"
    r"gelezen|läst|lest|læst|luettu|przeczytane|přečteno|прочитано|прочтено|開封済み|已读|已讀|읽음)"
    r"(?: receipt)?\s?[:：]|(?:read|return|disposition) (?:receipt|notification)"
)
_YOUR_MESSAGE = re.compile(
    r"\b(?:your (?:message|e-?mail|mail)|the (?:message|mail) (?:that )?you sent|"
    r"ihre? (?:nachricht|e-?mail|mail)|votre (?:message|courriel|e-?mail)|(?:su|el|tu) (?:mensaje|correo)|"
    r"(?:sua|a) mensagem|(?:il|tuo|suo|vostro) messaggio|(?:uw|je) (?:bericht|e-?mail)|"
    r"(?:ditt|ert) meddelande|meldingen|(?:din|deres) (?:melding|meddelelse|e-?post|e-?mail)|"
    r"ваше (?:сообщение|письмо))\b|メッセージ|メール|[您你]的?(?:邮件|消息|郵件|訊息)"
)
_READ = re.compile(
    r"(?:was|has been|were) (?:read|displayed|opened|deleted)|"
    r"wurde .{0,60}(?:gelesen|gelöscht|angezeigt)|"
    r"a été (?:lu|affiché|supprimé)|(?:se ha|fue) leído|foi lid|è stat[oa] lett|is gelezen|"
    r"lästes|ble lest|blev læst|прочитано|開封されました|已(?:被)?(?:阅读|閱讀)"
)


def names_receipt(subject: str, text: str) -> bool:
    """Whether subject and text are those of a read receipt without the parts of RFC 8098."""
    if not _RECEIPT_SUBJECT.match(folded(subject)):
        return False
    told = folded(text)
    yours = _YOUR_MESSAGE.search(told)
    return yours is not None and _READ.search(told, yours.end()) is not None


_COMPLAINT_SUBJECT = re.compile(
    r"complaint about message from|email feedback report|(?:abuse|spam|fraud) report|feedback loop"
)


def names_complaint(subject: str) -> bool:
    """Whether `subject` is one under which providers send complaints."""
    return _COMPLAINT_SUBJECT.search(folded(subject)) is not None


_COMPLAINT_TEXT = re.compile(r"this is an? .{0,40}report for an? e-?mail|$")


def says_nothing_of_its_own(text: str) -> bool:
    """Whether `text` is empty or what a provider's program puts above the mail that somebody complains of."""
    return _COMPLAINT_TEXT.match(folded(text)) is not None


_AGGREGATE_SUBJECT = re.compile(r"(?:\[[^\]]{1,20}\] )?report domain: ?\S{1,255} submitter: ?\S")


def names_aggregate_report(subject: str) -> bool:
    """Whether `subject` is that of an aggregate report of DMARC (RFC 7489 section 7.2.1.1) or TLSRPT."""
    return _AGGREGATE_SUBJECT.match(folded(subject)) is not None
