"""How phones, mail programs, people and mailing lists end a mail, language by language.

Data for `quote.signature`, in the same shape as `quote.words`.
"""

import re

from postroom.mail.quote.words import any_of, words

# "Sent from my": any device may follow, because nobody writes it of anything else.
_SENT_FROM_MY = words(
    """
    sent from my | sent via my | sent securely from my | sent wirelessly from my | typed on my
    written on my | von meinem | von meiner | gesendet von meinem | gesendet von meiner
    diese nachricht wurde von meinem | diese e-mail wurde von meinem | envoyé de mon
    envoyé depuis mon | envoyé de ma | envoyé à partir de mon | enviado desde mi | enviado de mi
    enviat des del meu | enviado do meu | enviado de meu | enviado pelo meu
    enviado a partir do meu | inviato dal mio | inviato dalla mia | verzonden vanaf mijn
    verstuurd vanaf mijn | verstuurd van mijn | verzonden van mijn | verzonden met mijn
    wysłano z mojego | wysłane z mojego | wysłane z telefonu | wysłano z telefonu
    skickat från min | skickat från mitt | sendt fra min | sendt fra mit | sendt fra mitt
    odesláno z mého | odoslané z môjho | отправлено с моего | надіслано з мого
    відправлено з мого | 발송: 내 | στάλθηκε από το | trimis de pe | poslano s mojeg
    dikirim dari
    """
)
# "Sent with": the name of a device or a program must follow.
_SENT_WITH = words(
    """
    sent from | sent via | sent with | sent by | sent using | sent securely from | sent on the
    sent from mail for | composed on | get | download | gesendet von | gesendet mit
    gesendet mit der | gesendet aus | gesendet aus der | gesendet über | versendet mit
    holen sie sich | beschaffen sie sich | envoyé depuis | envoyé à partir de | envoyé avec
    envoyé via | envoyé par | télécharger | téléchargez | obtenez | obtenir | enviado desde
    enviado con | enviado por | enviado de | enviat des de | obtener | descargar
    enviado a partir do | enviado via | enviado do | enviado pelo | obter | obter o | baixar
    baixar o | inviato da | inviato dal | inviato dalla | inviato con | scarica | ottieni
    verzonden vanaf | verzonden vanuit | verstuurd vanaf | verstuurd vanuit | verzonden met
    verstuurd met | verzonden via | verstuurd via | haal | wysłano z | wysłane z
    wysłano za pomocą | wysłano przy użyciu | pobierz | pobierz aplikację | pobierz program
    skickat från | skickades från | skickat med | skaffa | hämta | sendt fra | sendt med
    sendt via | hent | få | skaff deg | last ned | lähetetty | hanki | odesláno z | odoslané z
    získat | získejte | stáhnout | отправлено с | отправлено из | отправлено через | скачать
    получить | получите | надіслано з | надіслано із | відправлено з | відіслано з | отримати
    завантажити | 从 | 從 | 通过 | 获取 | 獲取 | 取得 | 下载 | 下載 | أُرسلت من | أرسلت من
    مرسل من | تم الإرسال من | أُرسل من | احصل على | الحصول على | נשלח מ | נשלח באמצעות | קבל את
    הורד את | השג את | αποστολή από | gửi từ | đã gửi từ | ส่งจาก
    """
)
# What must follow: any of these stems begins one of the next words.
_BRANDS = words(
    """
    iphon | ipad | ipod | ios | android | blackberry | outlook | galaxy | samsung | huawei
    xiaomi | redmi | pixel | nokia | htc | sony | xperia | oneplus | oppo | vivo | realme
    motorola | windows | yahoo | gmail | gmx | web.de | proton | protonmail | spark | airmail
    aol | bluemail | nine | thunderbird | fairphone | mail.ru | yandex | яндекс | айфон | sparrow
    superhuman | verizon | at&t | t-mobile | vodafone | chromebook | surface | nexus | fastmail
    tutanota | tuta | zoho | mailbird | mailspring | em client | missive | polymail | mailmate
    k-9 | k9 | fairemail | canary | edison | newton | mymail | roundcube | horde | zimbra
    telekom | freenet | orange | laposte | libero | wp.pl | o2 | onet | seznam | ukr.net | rambler
    naver | daum | typeapp | qq邮箱 | 网易 | foxmail
    """
)
# Whole lines.
_WHOLE = words(
    """
    via mobile | from mobile | sent from mobile | sent while mobile | sent on the go
    gesendet mit der mobilen mail app | sent using the mobile mail app
    sent with the mobile mail app
    sent on the move | sent from a mobile device | sent from mobile device | sent from a phone
    mobil gesendet | von unterwegs gesendet | unterwegs gesendet | outlook für ios beziehen
    outlook für android beziehen | outlook für ios herunterladen
    outlook für android herunterladen | outlook voor ios downloaden
    outlook voor android downloaden | outlook voor ios ophalen | outlook voor android ophalen
    outlook for ios を入手 | outlook for android を入手 | outlook for ios を入手する
    outlook for android を入手する | ios用 outlook を入手
    """
)
# Scripts that join the words, and languages that put the device first.
_JOINED = (
    r"(?:发自|發自|来自|來自|发送自|传送自|傳送自)\W?(?:我的)?.{1,40}"
    r"|[从從]我的.{1,30}(?:发送|發送|傳送|传送)|从 .{1,30}版邮件发送"
    r"|.{2,40}から送信(?:しました|されました)?|.{2,40}에서 (?:보냄|전송됨|보낸 메일)"
    r"|.{2,40}을 통해 보냄|(?:ios|android)용 outlook.{0,20}|outlook for (?:ios|android) (?:다운로드|받기)"
    r"|.{2,40}(?:umdan|ümden|imden|ımdan|undan|dan|den|ile) gönderildi"
    r"|(?:ios|android) için outlook['’]?u (?:edinin|indirin)|.{2,30}küldve"
    r"|נשלח מה.{1,40}|(?:أُرسلت|أرسلت|تم الإرسال) من.{1,40}"
)
_EXCUSE = r"(?:[,.;:!-]{1,3} ?(?:please |so )?(?:excuse|forgive|pardon|ignore|sorry)\b.{0,60})?"
MOBILE = re.compile(
    rf"^\W{{0,3}}(?:{any_of(_SENT_FROM_MY).pattern}(?: [^ ,;?]+){{1,8}}{_EXCUSE}"
    rf"|{any_of(_SENT_WITH).pattern}(?: [^ ?]+){{0,3}}? \W?{any_of(_BRANDS).pattern}(?:[^ ?]* ?){{1,7}}"
    rf"|{any_of(_WHOLE).pattern}|{_JOINED})\W{{0,3}}$"
)

# Closing words; they stay in the new text and only begin what is shown as the signature.
CLOSING = any_of(
    words(
        """
        thanks | thank you | many thanks | thanks again | thanks in advance | thx | cheers
        regards | best regards | kind regards | warm regards | warmest regards | best
        best wishes | all the best | sincerely | yours sincerely | sincerely yours
        yours faithfully | yours truly | respectfully | cordially | take care | br | rgds | kr
        with best regards | with kind regards | mit freundlichen grüßen | mit freundlichen grüssen
        mit freundlichen grussen
        mit freundlichem gruß | freundliche grüße | freundliche grüsse
        viele grüße | liebe grüße | beste grüße
        schöne grüße | herzliche grüße | grüße | gruß | mfg | lg | vg | danke | vielen dank
        cordialement | bien cordialement | bien à vous | salutations | meilleures salutations
        sincères salutations | merci | saludos | un saludo | saludos cordiales | atentamente
        cordialmente | gracias | un cordial saludo | un abrazo | cordiali saluti | distinti saluti
        saluti | un saluto | grazie | a presto | atenciosamente | att | cumprimentos
        com os melhores cumprimentos | obrigado | obrigada | abraços | melhores cumprimentos
        met vriendelijke groet | met vriendelijke groeten | groeten | groetjes | hartelijke groet
        mvg | bedankt | pozdrawiam | z poważaniem | serdecznie pozdrawiam | dziękuję
        pozdrowienia | med vänliga hälsningar | vänliga hälsningar | hälsningar | mvh | tack
        med venlig hilsen | venlig hilsen | mange hilsner | hilsen | tak | med vennlig hilsen
        vennlig hilsen | takk | ystävällisin terveisin | parhain terveisin
        terveisin | kiitos | yt | s pozdravem
        s přáním hezkého dne | děkuji | díky | zdravím | с уважением | с наилучшими пожеланиями
        спасибо | с почтением | з повагою | дякую | з найкращими побажаннями | saygılarımla
        saygılar | sevgiler | teşekkürler | iyi çalışmalar | よろしくお願いします
        よろしくお願いいたします | 宜しくお願い致します | 敬具 | 谢谢 | 此致 | 祝好 | 顺颂商祺
        감사합니다 | مع تحياتي | شكرا | مع أطيب التحيات | בברכה | תודה
        """
    ),
    "^",
    r"[\s,.!;،，。:-]*$",
)

# How a writer goes on below the own signature; and what signatures ask themselves.
ASKS = any_of(
    words(
        """
        ps | p.s. | p. s. | please | pls | could you | can you | would you | bitte | könnten sie
        können sie | könntest du | kannst du | merci de | pourriez-vous | pouvez-vous | por favor
        podría | podrían | puede | per favore | potete | può | puoi | poderia | pode | alstublieft
        kunt u | kun je | proszę | prosím | пожалуйста | прошу | snälla | kan du | kan ni | lütfen
        """
    ),
    r"^\W*",
    r"(?!\w)",
)
SPARES_PAPER = any_of(
    words("print | environment | druck | umwelt | imprim | environnement | stamp | ambiente | milieu")
)

# What a mailing list or a notifier says about itself below every mail.
LIST_TALK = any_of(
    words(
        """
        mailing list | mailinglist | you received this message because | you received this because
        you are receiving this because | /listinfo/ | list archive | to post to this group
        view it on github | mailman | abbestellen | se désabonner | désinscrire | darse de baja
        cancelar suscripción | annulla iscrizione | afmelden | avregistrera | отписаться
        listserv | yahoogroups | googlegroups | groups.io | to view this discussion
        to unsubscribe | unsubscribe from this | unsubscribe: | manage your subscription
        archives:
        """
    )
)
