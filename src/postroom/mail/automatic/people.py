"""Words that people write and programs do not: greetings, questions, mail that is theirs. Many languages.

Each function looks at a bounded piece of the text in one pass, and not at a message returned below it.
"""

import re

from postroom.mail.automatic.words import LOOKED_AT, folded

_RETURNED = re.compile(
    r"^[ \t]{0,8}(?:-{2,}|(?:received|return-path|message-id|from):)", re.IGNORECASE | re.MULTILINE
)
_GREETING = re.compile(
    r"\W{0,3}(?:(?:hi|hello|hey|dear|greetings|good (?:morning|day|afternoon|evening)|"
    r"hallo|guten (?:tag|morgen|abend)|grüß gott|grüezi|moin|servus|sehr geehrte[rs]?|liebe[rs]?|"
    r"bonjour|bonsoir|salut|chère?s?|madame|monsieur|"
    r"hola|buen[oa]s (?:días|tardes|noches)|buen día|estimad[oa]s?|"
    r"ciao|buongiorno|buonasera|salve|gentil[ei]|olá|oi|bom dia|boa (?:tarde|noite)|prezad[oa]s?|"
    r"goede(?:n|morgen|middag|avond)(?:dag)?|geachte|beste|"
    r"hej|hei|hejsan|god (?:dag|morgon|morgen)|kære|kjære|"
    r"dzień dobry|witam|cześć|szanown[iy]|dobrý den|ahoj|vážen[íáý]|jó napot|tisztelt|kedves|bună ziua|"
    r"merhaba|iyi günler|sayın|здравствуй(?:те)?|добрый день|добрый вечер|привет|уважаем(?:ые|ый|ая)|"
    r"добрий день|доброго дня|вітаю|γεια|καλημέρα|καλησπέρα|xin chào|kính gửi)\b|"
    r"こんにちは|お世話|はじめまして|拝啓|你好|您好|안녕하세요|שלום|مرحبا|السلام عليكم|สวัสดี)"
)
# What programs greet, an address or a role, and how they go on: they say what they are, and what failed.
_PROGRAM_GREETS = re.compile(
    r" ?(?:(?:sender|user|absender|nutzer|expéditeur|utilisateur|remitente|usuario|mittente|utente)\b|"
    r"[^\s@]{1,64}@)|"
    r"\W{1,3}(?:this is (?:an? (?:auto|system)|the .{0,40}(?:mail|program|server|daemon))|"
    r"your message (?:was|could|can)|ihre nachricht (?:konnte|wurde)|votre message n'a|su mensaje no)"
)
_QUESTION = re.compile(
    r"(?<!helpful)(?<=[^\W\d_]) ?\?(?=[\"')\]]?(?: |$))|[？؟]|"
    r"ですか|ますか|でしょうか|教えて|[吗嗎]|请问|請問|请告诉|請告訴|까요"
)
_MAIL_OF_THEIRS = re.compile(
    r"\b(?:my|our) (?:e-?mails?|mails?|messages?|orders?|parcels?|packages?)\b"
    r"(?! (?:servers?|systems?|gateways?|filters?|services?|polic|security|admin|hosts?|domains?))|"
    r"\b(?:meine?r?|unsere?r?) (?:e-?mails?|mails?|nachricht(?:en)?)\b|"
    r"\b(?:mon|notre|mes|nos) (?:messages?|mails?|courriels?|e-?mails?)\b|"
    r"\b(?:mi|nuestro) (?:mensaje|correo|e-?mail)\b|\b(?:mio|nostro) messaggio|\b(?:mia|nostra) e?-?mail\b|"
    r"\b(?:minha|nossa) mensagem|\b(?:meu|nosso) e-?mail\b|"
    r"\b(?:mijn|ons|onze) (?:e-?mails?|mails?|bericht)\b|"
    r"\b(?:mitt|vårt) (?:mejl|mail|meddelande)\b|\b(?:min|vår|vores) (?:e-?mail|mail|e-?post|besked)\b|"
    r"\bmoj[aą] wiadomość|\bmój e?-?mail\b|\bмо[её] (?:письмо|сообщение)|\bнаше (?:письмо|сообщение)|"
    r"我们?(?:的|发的|发给.{0,10}的)(?:邮件|信)|我們?(?:的|發的)(?:郵件|信)"
)


def greets(text: str) -> bool:
    """Whether `text` begins with a greeting of people, not of a program that introduces itself."""
    told = folded(text)
    greeting = _GREETING.match(told)
    return greeting is not None and _PROGRAM_GREETS.match(told, greeting.end()) is None


def asks(text: str) -> bool:
    """Whether the beginning of `text` asks something."""
    return _QUESTION.search(_own_words(text)) is not None


def tell_of_their_mail(text: str) -> bool:
    """Whether the beginning of `text` speaks of mail, or an order, as the writer's own."""
    return _MAIL_OF_THEIRS.search(_own_words(text)) is not None


def _own_words(text: str) -> str:
    returned = _RETURNED.search(text[:LOOKED_AT])
    return folded(text[: returned.start()] if returned else text)
