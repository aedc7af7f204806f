"""How mail programs say "on … wrote", "From:" and "Original Message", language by language.

The forms are data, in lower case; the rules that use them are in `quote.openings`. Spaces stand for any
white space, because lines are tidied before they are compared.
"""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType


def words(forms: str) -> tuple[str, ...]:
    """The forms in a block of text, which `|` and line ends separate."""
    parts = (part.strip() for line in forms.splitlines() for part in line.split("|"))
    return tuple(part for part in parts if part)


def any_of(forms: Iterable[str], before: str = "", after: str = "") -> re.Pattern[str]:
    """A pattern for any of `forms`, longest first, so that no form hides a longer one."""
    ordered = sorted(forms, key=len, reverse=True)
    return re.compile(f"{before}(?:{'|'.join(map(re.escape, ordered))}){after}")


# "wrote" where words are separated: they must stand alone ("underwrote" is none of them).
_SAID_ALONE = words(
    """
    wrote | writes | has written | schrieb | schreibt | geschrieben | zitat von | a écrit | ecrit
    a ecrit | écrivait | écrit | escribió | escribio | ha escrito | escribía | va escriure
    ha escrit | ha scritto | scrive | scritto | escreveu | escrito | escreveram | citando
    schreef | geschreven | napisał | napisała | napisał(a) | pisze | napisana przez | napisano
    skrev | skriver | skreiv | skrivit | kirjoitti | napsal | napsala | napsal(a) | napísal
    napísala | napísal(a) | píše | пишет | писал | писала | написал | написала | написал(а)
    написа | пише | писав | написав | написав(-ла) | yazdı | yazmış | yazdi | írta | a scris
    έγραψε | napisao | napisala | napisao/la | kirjutas | rašė | rakstīja | đã viết | menulis
    skrifaði | missatge de | napisao je | напиша | написао | quoting | quoted | excerpts from
    """
)
# "wrote" in scripts where words run together or take prefixes.
_SAID_ANYWHERE = words(
    """
    のメール | のメッセージ | さんは書きました | 書きました | が書いた | さんの発言 | さんからのメール
    からの引用 | 写道 | 寫道 | 写到 | 寫到 | 提到 | 写信 | 編寫 | 编写 | 작성 | 쓴 글 | 님이 씀
    썼습니다 | 님의 말 | كتب | كتبت | كتابة | כתב | כתבה | כתב/ה | מאת | نوشت | เขียนว่า | เขียน
    लिखा
    """
)
SAID = re.compile(any_of(_SAID_ALONE, r"(?<!\w)", r"(?!\w)").pattern + "|" + any_of(_SAID_ANYWHERE).pattern)

# Who writes in a person's own sentence, by the verb of the same language.
_OF_US = {
    "wrote | writes | has written": """
        i | we | you | he | she | they | me | us | my | our | your | his | her | their
        """,
    "schrieb | schreibt | geschrieben": """
        ich | wir | sie | er | mir | uns | ihnen | mein | meine | unser | unsere | ihr | ihre | euer | eure
        """,
    "a écrit | a ecrit | écrit | écrivait | ecrit": "j | m | je | nous | vous | tu | elle | votre | notre",
    "escribió | escribio | ha escrito | escribía": """
        yo | usted | ustedes | me | nos | le | les | te | su | mi | nuestro | nuestra | vuestro | vuestra
        """,
    "ha scritto | scrive | scritto": """
        io | lei | voi | mi | ci | vi | vostro | vostra | nostro | nostra | mio | mia | suo | sua
        """,
    "escreveu | escreveram": """
        eu | você | vocês | ele | ela | me | nos | lhe | seu | sua | meu | minha | nosso | nossa
        """,
    "schreef | geschreven": """
        ik | u | je | jij | hij | zij | wij | we | mij | ons | uw | mijn | onze | jullie
        """,
    "skrev | skriver | skrivit": """
        jag | jeg | du | ni | vi | han | hon | hun | mig | meg | oss | os | min | din
        """,
    "писал | писала | написал | написала | пишет": """
        я | вы | ты | он | она | мне | нам | ваш | ваша | мой | моя | наш | наша
        """,
    "napisał | napisała": "pan | pani | mi | nam | mój | moja | nasz | nasza | wasz | wasza",
}
_OF_US_BY_VERB = {verb: frozenset(words(who)) for verbs, who in _OF_US.items() for verb in words(verbs)}


def of_us(verb: str) -> frozenset[str]:
    """The words of a person's own sentence about who wrote, when that is told by `verb`."""
    return _OF_US_BY_VERB.get(verb, frozenset())


# What an attribution line begins with when not with a date, a name or an address.
_BEGINNINGS = words(
    """
    on | at | quoting | in message | in article | am | zitat von | le | el | em | il | il giorno
    il dì | no dia | a | op | w dniu | dnia | wiadomość napisana przez | den | dne | dňa | на | в
    у | от | від | o | στις | în | pe | vào | pada | kuupäev | missatge de | citando | citát | v
    在 | 於 | 于 | في | بتاريخ | ב | בתאריך | ในวันที่ | در | در تاریخ | tarihinde
    """
)
BEGINNING = any_of(_BEGINNINGS, r"^[^\w\u0590-\u06ff]*", r"(?=[\W\d]|$)")

# First words of a person's own sentence, which a name never is.
OWN_SENTENCE = any_of(
    words(
        """
        the | this | that | these | those | as | what | here | there | it | we | i | you | he
        she | they | when | if | which | my | our | der | die | das | ich | wir | sie | es | hier
        ce | cette | je | nous | vous | il y a | esto | este | esta | yo | lo | questo
        """
    ),
    r"^\W*",
    r"(?!\w)",
)

_FROM, _SENT, _DATE, _TO, _SUBJECT, _OTHER = "from", "sent", "date", "to", "subject", "other"
_LABELS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        _FROM: words(
            """
            発信者 | відправник | avsändaradress | remetente | from | von | de | expéditeur
            remitente | da | mittente | van | afzender | od | nadawca | från | avsändare | fra
            afsender | avsender | lähettäjä | odesílatel | odosielateľ | от | отправитель
            от кого | від | від кого | kimden | gönderen | 差出人 | 送信者 | 送信元 | 发件人
            寄件者 | 寄件人 | 보낸 사람 | 보낸사람 | 발신 | من | מאת | feladó | de la | από
            expeditor | šalje | from address | pengirim | từ | จาก | frá | az | nuo | saatja | no
            """
        ),
        _SENT: words(
            """
            sent | sent on | sent at | gesendet | gesendet am | envoyé | envoyé le | date d'envoi
            enviado | enviado el | enviada | enviado em | enviada em | data de envio | inviato
            data invio | verzonden | wysłano | data wysłania | wysłane | skickat | skickades
            sendt | lähetetty | odesláno | odoslané | отправлено | надіслано | відправлено
            gönderildi | gönderilme tarihi | gönderme tarihi | 送信日時 | 送信日 | 发送时间
            寄件日期 | 傳送時間 | 發送時間 | 发送日期 | 보낸 날짜 | 보낸날짜 | 보냄 | נשלח
            تاريخ الإرسال | تم الإرسال | أُرسلت | أرسلت | مرسل | elküldve | trimis | poslano
            dikirim | στάλθηκε | đã gửi | ส่ง | enviat el | enviat | изпратено | išsiųsta | saadetud
            nosūtīts
            """
        ),
        _DATE: words(
            """
            date | datum | fecha | data | dato | päivämäärä | päiväys | pvm | дата | tarih | 日付
            日時 | 日期 | 時間 | 时间 | 날짜 | 일시 | תאריך | تاريخ | التاريخ | dátum | ημερομηνία
            ngày | วันที่
            """
        ),
        _TO: words(
            """
            to | an | à | para | a | destinataire | destinatario | destinatário | aan | do
            adresat | till | til | vastaanottaja | komu | pro | кому | получатель | kime | alıcı
            宛先 | 收件人 | 收件者 | 받는 사람 | 받는사람 | 수신 | إلى | الى | אל | címzett
            către | προς | za | kepada | đến | ถึง | empfänger | för | mottagare | modtager
            mottaker | per a | до | kam | adressaat | prima
            """
        ),
        _SUBJECT: words(
            """
            subject | betreff | objet | sujet | asunto | oggetto | assunto | onderwerp | temat
            ämne | emne | aihe | předmět | predmet | тема | konu | 件名 | 主题 | 主題 | 主旨
            제목 | الموضوع | موضوع | נושא | tárgy | subiect | θέμα | assumpte | subjek | chủ đề
            tiêu đề | เรื่อง | re | aw | otsikko | betr | относно | teema | tēma | zadeva
            """
        ),
        _OTHER: words(
            """
            cc | bcc | kopie | copie à | copie | copia | cópia | dw | kopia | kopi | kopio | копия
            копія | bilgi | 抄送 | 副本 | 참조 | نسخة | עותק | reply-to | reply to | antwort an
            importance | priority | priorität | attachments | attachment | anlagen | anhänge
            pièces jointes | datos adjuntos | allegati | anexos | bijlagen | załączniki
            bifogade filer | organization | newsgroups | sender | resent-from | message-id
            mailed by | on behalf of | cci | ccn | 附件 | 添付ファイル
            """
        ),
    }
)
LABELS: Mapping[str, str] = MappingProxyType(
    {label: role for role, labels in _LABELS.items() for label in labels}
)
FROM, SENT, DATE, TO, SUBJECT, OTHER = _FROM, _SENT, _DATE, _TO, _SUBJECT, _OTHER

# "Original Message" between dashes; the second group opens forwarded mail.
_ORIGINAL = words(
    """
    original message | originalmessage | original mail | original email | original | reply message
    original appointment | ursprüngliche nachricht | originalnachricht | original-nachricht
    originalmail | urspr. nachricht | antwort nachricht | message d'origine | message original
    message d’origine | message initial | mail original | courriel original | mensaje original
    mensagem original | missatge original | messaggio originale | messaggio original
    oorspronkelijk bericht | origineel bericht | oorspronkelijke bericht | oryginalna wiadomość
    wiadomość oryginalna | wiadomość pierwotna | ursprungligt meddelande | ursprungliga mejlet
    ursprungligt mejl | originalmeddelande | originalt meddelande | oprindelig meddelelse | oprindelig besked
    original meddelelse | opprinnelig melding
    original melding | alkuperäinen viesti | původní zpráva | původní e-mail | pôvodná správa
    исходное сообщение | оригинальное сообщение | исходное письмо | первоначальное сообщение
    вихідне повідомлення | оригінальне повідомлення | початкове повідомлення | orijinal mesaj
    orjinal mesaj | özgün ileti | orijinal ileti | asıl mesaj | 元のメッセージ | 元のメール
    原始邮件 | 原始郵件 | 原始信件 | 邮件原件 | 原邮件 | 原信件 | 回复的原邮件 | 原始讯息
    원본 메시지 | 원본 메일 | 원본메일 | 원본 이메일 | 원본 내용 | الرسالة الأصلية | رسالة أصلية
    ההודעה המקורית | הודעה מקורית | eredeti üzenet | mesaj original | mesajul original
    originální zpráva | originalt melding | originalna správa | original besked
    original text | originalbericht
    αρχικό μήνυμα | izvorna poruka | originalna poruka | pesan asli | thư gốc | ข้อความต้นฉบับ
    """
)
_FORWARDED = words(
    """
    forwarded message | forwarded mail | forwarded email | forwarded by | forward message
    begin forwarded message | start of forwarded message | forwarding messages | forwarded content
    weitergeleitete nachricht | weitergeleitete mail | anfang der weitergeleiteten nachricht
    weitergeleitet von | anfang der weitergeleiteten e-mail | message transféré | message transmis
    début du message transféré | début du message réexpédié | message réexpédié | transféré par
    mensaje reenviado | inicio del mensaje reenviado | missatge reenviat | messaggio inoltrato
    inizio messaggio inoltrato | inizio del messaggio inoltrato | inoltrato da
    mensagem encaminhada | início da mensagem encaminhada | mensagem reencaminhada
    início da mensagem reencaminhada | doorgestuurd bericht | begin doorgestuurd bericht
    doorgezonden bericht | doorgestuurde bericht | wiadomość przekazana dalej
    przekazana wiadomość | przekazana wiadomość dalej | początek przekazywanej wiadomości
    przesłana wiadomość | treść przekazanej wiadomości | vidarebefordrat meddelande
    vidarebefordrat brev | vidarebefordrat mejl | början på vidarebefordrat meddelande
    videresendt meddelelse | videresendt besked | start på videresendt besked | videresendt e-mail
    videresendt melding | videresendt e-post | begynnelse på videresendt melding
    start på videresendt melding | start på videresendt e-post | edelleenlähetetty viesti
    välitetty viesti | välitetty viesti alkaa | alkuperäinen viesti alkaa | přeposlaná zpráva
    přeposlaný e-mail | začátek přeposílané zprávy | přeposílaná zpráva | preposlaná správa
    пересылаемое сообщение | пересланное сообщение | начало переадресованного сообщения
    перенаправленное сообщение | начало пересылаемого сообщения | пересылаемое письмо
    пересланное письмо | переслане повідомлення | переадресоване повідомлення
    початок переадресованого повідомлення | початок листа, що пересилається | iletilmiş mesaj
    iletilen mesaj | iletilmiş ileti | iletilen ileti | yönlendirilmiş mesaj
    iletilen mesaj başlangıcı | iletinin başlangıcı | yönlendirilen ileti | 転送メッセージ
    転送されたメッセージ | 転送メール | 転送元 | 以下転送 | 转发的邮件 | 转发邮件 | 转发邮件信息
    已转发邮件 | 轉寄郵件 | 已轉寄郵件 | 轉寄的郵件 | 開始轉寄郵件 | 开始转发的邮件
    下面是被转发的邮件 | 下面是轉寄的郵件 | 以下是轉寄的郵件 | 轉寄訊息 | 转发信息 | 전달된 메일
    전달된 메시지 | 전달 메시지 | 전달된 이메일 | رسالة معاد توجيهها | رسالة مُعاد توجيهها
    بداية الرسالة المعاد توجيهها | الرسالة المعاد توجيهها | رسالة محولة | הודעה שהועברה
    תחילת ההודעה שהועברה | הודעה מועברת | továbbított üzenet | mesaj redirecționat
    mesaj transmis | προωθημένο μήνυμα | proslijeđena poruka | prosleđena poruka | pesan terusan
    pesan yang diteruskan | thư được chuyển tiếp
    """
)
SEPARATOR = re.compile(
    r"^[-_=*~#>|\s]*(?P<form>" + any_of(_ORIGINAL + _FORWARDED).pattern + r")(?P<rest>[^\n]{0,500})$"
)
# Without these, which need a name or a word behind them, the forms are headings by themselves.
_UNFINISHED = frozenset(words("original | forwarded by | weitergeleitet von | transféré par | inoltrato da"))
HEADINGS = frozenset(_ORIGINAL + _FORWARDED) - _UNFINISHED
# Apple Mail opens forwarded mail by such a line that ends in a colon and has no dashes.
FORWARD_STARTS = any_of(_FORWARDED, "^", r" ?[:：]$")

# Helpdesks cut there themselves.
REPLY_ABOVE = any_of(
    words(
        """
        reply above this line | reply above. do not remove this line | reply above the line
        type your reply above this line | write above this line
        please reply above this line | reply above this text
        replies above this line | reply above here
        in replies all text above this line is added to the ticket
        to reply, type above this line | oberhalb dieser linie | über dieser linie
        oberhalb dieser zeile | über dieser zeile | au-dessus de cette ligne
        au dessus de cette ligne | por encima de esta línea | encima de esta línea
        sopra questa riga | sopra questa linea | acima desta linha | acima dessa linha
        boven deze lijn | boven deze regel | powyżej tej linii | ovanför denna linje
        ovanför den här raden | over denne linje | tämän rivin yläpuolelle | nad tento řádek
        nad tímto řádkem | выше этой линии | выше этой строки | вище цієї лінії
        bu satırın üstüne | この行より上 | この線より上 | 请在此行上方 | 此线以上 | 이 줄 위에
        """
    ),
)
# What such a line begins with when no mark stands before it: a sentence about a line begins otherwise.
REPLY_ABOVE_STARTS = any_of(
    words("reply | type | write | please | replies above | in replies | to reply | bitte antworten"), "^"
)

# "See my answers in red below": what a writer says who answered inside the quoted text.
_ANSWERS = words(
    """
    answer | answers | answered | comment | comments | commented | reply | replies | replied | response
    responses | remarks | notes | antwort | antworten | geantwortet | kommentar | kommentare
    anmerkungen | réponse | réponses | répondu | commentaires | remarques | respuesta | respuestas
    comentarios | risposta | risposte | commenti | resposta | respostas | comentários | antwoord
    antwoorden | opmerkingen | odpowiedzi | komentarze | svar | kommentarer | ответы | комментарии
    """
)
_WITHIN = words(
    """
    below | inline | in-line | in line | in red | in blue | in green | in bold | in colour | in color
    unten | in rot | in blau | in grün | rot markiert | im text | weiter unten | ci-dessous | en rouge
    en bleu | en vert | dans le texte | abajo | en rojo | en azul | en verde | sotto | in rosso | in blu
    nel testo | abaixo | em vermelho | em azul | hieronder | in het rood | in het blauw | poniżej
    na czerwono | nedan | nedenfor | i rött | i rødt | ниже | красным
    """
)
ANSWERS_WITHIN = re.compile(
    any_of(_ANSWERS, r"(?<!\w)", r"(?!\w)").pattern
    + r"[^.?!]{0,60}"
    + any_of(_WITHIN, r"(?<!\w)", r"(?!\w)").pattern
    + "|"
    + any_of(_WITHIN, r"(?<!\w)", r"(?!\w)").pattern
    + r"[^.?!]{0,60}"
    + any_of(_ANSWERS, r"(?<!\w)", r"(?!\w)").pattern
)
