"""How phones, mail programs, people and mailing lists end a mail, language by language.

Data for `quote_signature`, in the same shape as `quote_words`.
"""

import re

from postroom.mail.quote_words import any_of, words

# "Sent from my …": what stands before the device.
_SENT_FROM = words(
    """
    sent from my | sent from | sent via | sent with | sent by | sent using | composed on
    get outlook for | get bluemail for | sent from yahoo mail | sent from mail for
    sent from outlook | from my iphone | from my ipad | from my android | sent on the go
    sent while mobile | sent from a mobile device | sent from mobile | via mobile | from mobile
    download outlook for | sent securely from | sent wirelessly from | sent on the | von meinem
    von meiner | gesendet von | gesendet mit | gesendet mit der | gesendet aus | versendet mit
    diese nachricht wurde von meinem | gesendet über | von unterwegs gesendet | von unterwegs
    outlook für | holen sie sich outlook für | beschaffen sie sich outlook für | envoyé de mon
    envoyé depuis mon | envoyé depuis | envoyé à partir de | envoyé avec | envoyé via | envoyé par
    télécharger outlook pour | obtenez outlook pour | obtenir outlook pour
    téléchargez outlook pour | enviado desde mi | enviado desde | enviado con | enviado por
    enviat des de | obtener outlook para | descargar outlook para | enviado do meu
    enviado de meu | enviado a partir do meu | enviado a partir do | enviado via
    obter outlook para | obter o outlook para | enviado pelo meu | enviado pelo
    baixar outlook para | inviato da | inviato dal mio | inviato dal | inviato con
    scarica outlook per | ottieni outlook per | verzonden vanaf mijn | verzonden vanaf
    verstuurd vanaf mijn | verstuurd vanaf | verzonden met | verstuurd met | verzonden via
    verstuurd via | verstuurd van mijn | verzonden van mijn | outlook voor | download outlook voor
    haal outlook voor | outlook downloaden voor | wysłano z | wysłane z | wysłano za pomocą
    wysłane z telefonu | wysłano przy użyciu | pobierz outlook dla | pobierz program outlook dla
    skickat från min | skickat från | skickades från | skickat med | skaffa outlook för
    hämta outlook för | sendt fra min | sendt fra | sendt med | sendt via | hent outlook til
    få outlook til | hent outlook for | få outlook for | skaff deg outlook for
    last ned outlook for | lähetetty | hanki outlook | odesláno z | odesláno z mého | odoslané z
    získat outlook pro | získejte outlook pro | stáhnout outlook pro | отправлено с
    отправлено из | отправлено с моего | отправлено через | скачать outlook для
    получить outlook для | получите outlook для | надіслано з | надіслано з мого | відправлено з
    відправлено з мого | відіслано з | отримати outlook для | завантажити outlook для
    iphone'umdan gönderildi | iphone’umdan gönderildi | ipad'imden gönderildi
    android uygulamasını edinin | outlook'u edinin | i̇phone'umdan gönderildi
    i̇phone’umdan gönderildi | iphoneから送信 | ipadから送信 | androidから送信 | iphone から送信
    スマートフォンから送信 | 携帯から送信 | outlook for ios を入手 | outlook for android を入手
    发自我的 | 从我的 | 發自我的 | 從我的 | 来自我的 | 发送自 | 发自 | 传送自 | 傳送自
    獲取 outlook for | 获取 outlook for | 取得 outlook for | 下载 outlook for | 下載 outlook for
    나의 iphone에서 보냄 | 내 iphone에서 보냄 | 나의 ipad에서 보냄 | 에서 보냄
    outlook for ios 다운로드 | outlook for android 다운로드 | ios용 outlook | android용 outlook
    أُرسلت من | أرسلت من | مرسل من | تم الإرسال من | أُرسل من | احصل على outlook
    الحصول على outlook | נשלח מה | נשלח מ | נשלח באמצעות | קבל את outlook | הורד את outlook
    השג את outlook | iphone-omról küldve | trimis de pe | στάλθηκε από | αποστολή από | poslano s
    dikirim dari | gửi từ | đã gửi từ | ส่งจาก
    """
)
# Turkish, Japanese and Korean put the device first.
_DEVICE_FIRST = words(
    """
    gönderildi | から送信 | から送信しました | から送信されました | 에서 보냄 | 에서 전송됨
    에서 보낸 | küldve | 을 통해 보냄 | ile gönderildi | を入手 | 다운로드 | edinin
    """
)
SENT_FROM = any_of(_SENT_FROM, r"^\W{0,3}", r"(?!\w)(?P<device>.*)$")
SENT_FROM_JOINED = re.compile(
    r"^\W{0,3}(?:发自|發自|来自|从我的|從我的|传送自|傳送自|נשלח מה|נשלח מ).{1,60}$"
    r"|^.{2,60}(?:" + any_of(_DEVICE_FIRST).pattern + r")\W{0,3}$"
)
DEVICE = any_of(
    words(
        """
        iphone | ipad | ipod | ios | android | blackberry | mobile | smartphone | smart phone
        handy | telefon | téléphone | telefone | móvil | movil | celular | cellulare | mobil
        phone | telefoon | tablet | tablette | outlook | galaxy | samsung | huawei | xiaomi
        redmi | pixel | nokia | htc | sony | xperia | oneplus | oppo | vivo | realme | motorola
        windows | yahoo | gmail | gmx | web.de | proton | protonmail | spark | airmail | aol
        mail | bluemail | nine | e-mail | email | mac | macbook | apple | watch | thunderbird
        fairphone | lg | телефон | телефона | айфон | смартфон | смартфона | мобильного
        мобільного | пошта | почта | mail.ru | yandex | яндекс | puhelin | puhelimesta
        puhelimestani | iphonesta | iphonestani | ipadista | ipadistani | androidista | 手机
        手機 | 电脑 | 电话 | スマートフォン | 携帯 | 휴대폰 | 스마트폰 | الهاتف | هاتفي | ה-iphone
        sparrow | superhuman | verizon | at&t | t-mobile | vodafone | blackberry® | iphonista
        chromebook | surface | nexus | moto | fastmail | tutanota | tuta | hey | zoho | mailbird
        front
        """
    ),
    r"(?<!\w)",
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
        mit freundlichem gruß | freundliche grüße | viele grüße | liebe grüße | beste grüße
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
        vennlig hilsen | takk | ystävällisin terveisin | terveisin | kiitos | yt | s pozdravem
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

# What a mailing list or a notifier says about itself below every mail.
LIST_TALK = any_of(
    words(
        """
        mailing list | unsubscribe | you received this message because
        you are receiving this because | /listinfo/ | list archive | to post to this group
        reply to this email directly or view it on | mailman | abbestellen | se désabonner
        désinscrire | darse de baja | cancelar suscripción | annulla iscrizione | afmelden
        avregistrera | отписаться | mailinglist | listserv | sympa | yahoogroups | googlegroups
        groups.io | to view this discussion | to unsubscribe | manage your subscription
        archives:
        """
    )
)
