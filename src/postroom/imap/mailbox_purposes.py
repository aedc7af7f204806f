"""The names that mail programs give to mailboxes of a purpose, in many languages; `|` stands between them."""

from typing import Final

SENT: Final = """
    Sent|Sent Items|Sent Messages|Sent Mail|Sent-Mail|SentItems|Outgoing|Gesendet
    Gesendete Objekte|Gesendete Elemente|Gesendete Nachrichten|Gesendete E-Mails|Envoyés
    Éléments envoyés|Messages envoyés|Objets envoyés|Courrier envoyé|Mails envoyés|Envoyé
    Enviados|Elementos enviados|Mensajes enviados|Correo enviado|Itens enviados
    Mensagens enviadas|Enviadas|Enviats|E-mails enviados|Elements enviats|Posta inviata|Inviata
    Inviati|Elementi inviati|Messaggi inviati|Verzonden|Verzonden items|Verzonden berichten
    Verstuurd|Skickat|Skickade objekt|Skickade|Sendt|Sendte elementer|Sendt post|Sendte
    Lähetetyt|Lähetetyt viestit|Отправленные|Отправлено|Надіслані|Відправлені|Адпраўленыя
    Изпратени|Wysłane|Elementy wysłane|Odeslaná pošta|Odeslané|Odoslané|Odoslaná pošta|Poslano
    Poslane stavke|Elküldött|Elküldött elemek|Elküldött üzenetek|Trimise|Elemente trimise
    Išsiųsta|Išsiųsti laiškai|Nosūtītie|Saadetud|Απεσταλμένα|Gönderilmiş Öğeler|Gönderilenler
    Gönderilmiş|已发送|已发送邮件|已发邮件|已傳送|寄件備份|已傳送郵件|寄件匣備份|送信済み
    送信済みアイテム|送信済みメール|送信済みトレイ|보낸 편지함|보낸편지함|보낸 메일함|보낸메일함
    נשלח|דואר שנשלח|المرسلة|العناصر المرسلة|البريد المرسل|ส่งแล้ว|Đã gửi|Terkirim
"""

DRAFTS: Final = """
    Drafts|Draft|Entwürfe|Entwurf|Brouillons|Borradores|Rascunhos|Esborranys|Bozze|Concepten
    Utkast|Kladder|Kladde|Luonnokset|Черновики|Чернетки|Чернови|Kopie robocze|Szkice
    Wersje robocze|Koncepty|Rozepsané|Skice|Osnutki|Piszkozatok|Ciorne|Schițe|Juodraščiai
    Melnraksti|Mustandid|Πρόχειρα|Taslaklar|草稿|草稿箱|草稿夾|下書き|임시 보관함|임시보관함
    טיוטות|المسودات|ฉบับร่าง|Thư nháp|Draf
"""

JUNK: Final = """
    Junk|Spam|Junk E-mail|Junk Email|Junk Mail|Bulk Mail|Bulk|Spamverdacht|Junk-E-Mail
    Unerwünscht|Unerwünschte Werbung|Courrier indésirable|Indésirables|Pourriel|Pourriels
    Correo no deseado|Correo basura|No deseado|Lixo eletrônico|Lixo electrónico
    Posta indesiderata|Ongewenste e-mail|Ongewenst|Skräppost|Søppelpost|Uønsket e-mail
    Uønsket post|Roskaposti|Спам|Нежелательная почта|Небажана пошта|Wiadomości-śmieci|Niechciane
    Nevyžádaná pošta|Nevyžiadaná pošta|Neželena pošta|Levélszemét|Mesaje nedorite|Brukalas
    Mēstules|Rämpspost|Ανεπιθύμητα|Gereksiz|Önemsiz E-posta|İstenmeyen|垃圾邮件|垃圾郵件
    广告邮件|迷惑メール|스팸|스팸 편지함|스팸편지함|정크 메일|דואר זבל|ספאם|البريد العشوائي
    البريد المزعج|Thư rác
"""

TRASH: Final = """
    Trash|Deleted|Deleted Items|Deleted Messages|Bin|Papierkorb|Gelöscht|Gelöschte Objekte
    Gelöschte Elemente|Corbeille|Éléments supprimés|Messages supprimés|Papelera
    Elementos eliminados|Eliminados|Lixeira|Lixo|Itens excluídos|Itens eliminados|Paperera
    Cestino|Posta eliminata|Eliminati|Elementi eliminati|Prullenbak|Verwijderde items
    Papperskorgen|Borttagna objekt|Papirkurv|Slettet post|Slettede elementer|Slettet|Roskakori
    Poistetut|Корзина|Удаленные|Удалённые|Кошик|Видалені|Кошче|Kosz|Elementy usunięte|Koš
    Odstraněná pošta|Kôš|Odstránená pošta|Smeće|Koš za smeti|Lomtár|Törölt elemek|Coș de gunoi
    Elemente șterse|Šiukšlinė|Atkritne|Prügikast|Κάδος|Διαγραμμένα|Çöp Kutusu|Silinmiş Öğeler
    Çöp|已删除|已删除邮件|垃圾箱|刪除的郵件|垃圾桶|ゴミ箱|ごみ箱|削除済みアイテム|휴지통
    지운 편지함|אשפה|פריטים שנמחקו|المهملات|العناصر المحذوفة|ถังขยะ|Thùng rác|Sampah
"""

ARCHIVE: Final = """
    Archive|Archives|Archiv|Archivieren|Archivés|Archivo|Archivos|Arquivo|Arquivo morto|Arxiu
    Archivio|Archief|Arkiv|Arkisto|Архив|Архів|Archiwum|Archív|Arhiva|Arhiv|Archívum|Arhivă
    Archyvas|Arhīvs|Arhiiv|Αρχείο|Arşiv|存档|归档|封存|アーカイブ|보관함|보관|ארכיון|الأرشيف
    เก็บถาวร|Lưu trữ|Arsip
"""
