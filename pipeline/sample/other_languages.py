# ruff: noqa: RUF001 - letters of other alphabets are intended
"""Phrases for sample issues in languages other than English: component names, and titles with their bodies.

{c} is replaced by the name of a component. All component names of a language are in the nominative and have
the same gender, so that they fit every sentence.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class OtherLanguage:
    """The phrases of one language for sample issues.

    Each of `problems` is a pair: a title, and the first sentence of the body. `extras` are further sentences
    for bodies.
    """

    components: tuple[str, ...]
    problems: tuple[tuple[str, str], ...]
    extras: tuple[str, ...]


OTHER_LANGUAGES: dict[str, OtherLanguage] = {
    "spanish": OtherLanguage(
        ("el servidor", "el buscador", "el formulario", "el instalador", "el panel"),
        (
            (
                "{c} se cierra al arrancar",
                "Cuando abro la aplicación, {c} se cierra sin ningún mensaje de error.",
            ),
            (
                "{c} es muy lento con archivos grandes",
                "Con archivos de más de 100 MB {c} tarda varios minutos en responder.",
            ),
            (
                "falta documentación sobre {c}",
                "No encuentro ninguna página del manual donde se explique cómo funciona {c}.",
            ),
            (
                "{c} no muestra los acentos",
                "Las letras con tilde, como á o ñ, salen como signos de interrogación en {c}.",
            ),
        ),
        (
            "Uso la versión {v} en {os}.",
            "Antes funcionaba sin problemas.",
            "¿Alguien sabe cómo arreglarlo? ¡Gracias!",
        ),
    ),
    "portuguese": OtherLanguage(
        ("o servidor", "o formulário", "o instalador", "o painel", "o leitor de CSV"),
        (
            (
                "{c} trava depois da atualização",
                "Desde que atualizei para a versão {v}, {c} trava e preciso reiniciar tudo.",
            ),
            (
                "{c} não funciona no Windows",
                "No Linux está tudo bem, mas no Windows {c} simplesmente não abre.",
            ),
            (
                "adicionar modo escuro para {c}",
                "Seria ótimo se {c} tivesse um tema escuro para trabalhar à noite.",
            ),
        ),
        ("Estou usando {os}.", "Já tentei reinstalar, não mudou nada.", "Obrigado pelo projeto!"),
    ),
    "french": OtherLanguage(
        ("le serveur", "le formulaire", "le lecteur audio", "le planificateur", "le cache"),
        (
            (
                "{c} plante au démarrage",
                "À chaque lancement de l'application, {c} s'arrête avec une erreur inconnue.",
            ),
            (
                "{c} consomme trop de mémoire",
                "Après quelques heures, {c} occupe plusieurs gigaoctets de mémoire vive.",
            ),
            ("documenter {c}", "Je n'ai trouvé aucune page qui explique comment configurer {c}."),
            (
                "{c} ignore le fuseau horaire",
                "L'heure affichée par {c} est toujours en UTC, même si j'ai choisi Paris.",
            ),
        ),
        ("Version {v} sous {os}.", "Cela marchait avant la mise à jour.", "Merci d'avance pour votre aide."),
    ),
    "german": OtherLanguage(
        ("der Server", "der Parser", "der Kalender", "der Installer", "der Zwischenspeicher"),
        (
            (
                "{c} stürzt beim Start ab",
                "Direkt nach dem Start beendet sich das Programm, weil {c} abstürzt.",
            ),
            (
                "{c} ist sehr langsam bei großen Dateien",
                "Bei Dateien über 50 MB braucht man viel Geduld, denn {c} rechnet minutenlang.",
            ),
            (
                "{c} zeigt Umlaute falsch an",
                "Statt ä, ö und ü sehe ich nur Fragezeichen, sobald {c} im Spiel ist.",
            ),
            ("Dokumentation fehlt: {c}", "Im Handbuch steht leider nicht, was {c} eigentlich macht."),
        ),
        (
            "Ich benutze Version {v} unter {os}.",
            "Mit der alten Version ging es noch.",
            "Vielen Dank für die Mühe!",
        ),
    ),
    "russian": OtherLanguage(
        ("сервер", "парсер", "планировщик", "установщик", "поиск"),
        (
            (
                "{c} падает при запуске",
                "После обновления до версии {v} сразу при запуске {c} падает с ошибкой.",
            ),
            (
                "{c} работает очень медленно",
                "На больших файлах {c} работает несколько минут, раньше было быстрее.",
            ),
            (
                "{c} не понимает кириллицу",
                "Если в имени файла есть русские буквы, {c} выдаёт пустой результат.",
            ),
        ),
        ("Система: {os}.", "Переустановка не помогла.", "Спасибо за проект!"),
    ),
    "chinese": OtherLanguage(
        ("登录页面", "解析器", "缓存", "调度器", "镜像"),
        (
            ("升级到 {v} 后{c}崩溃", "升级到 {v} 以后，{c}一启动就崩溃，之前的版本没有问题。"),
            ("{c}内存泄漏", "运行几个小时之后，{c}占用的内存越来越多，最后被系统杀掉。"),
            ("{c}缺少中文文档", "我没有找到关于{c}的说明，希望能增加一个例子。"),
            ("{c}速度太慢", "文件比较大的时候，{c}需要好几分钟才有结果，请问如何优化？"),
        ),
        ("系统是 {os}。", "重新安装也没有用。", "谢谢！"),
    ),
    "japanese": OtherLanguage(
        ("ログイン画面", "パーサー", "キャッシュ", "スケジューラ", "検索"),
        (
            ("{c}が起動時にクラッシュする", "バージョン {v} に更新してから、{c}が起動直後に落ちます。"),
            ("{c}が遅い", "大きなファイルを開くと、{c}の応答に数分かかります。"),
            ("{c}で文字化けする", "日本語のファイル名を使うと、{c}の表示が文字化けします。"),
        ),
        ("環境は {os} です。", "以前のバージョンでは問題ありませんでした。", "よろしくお願いします。"),
    ),
    "korean": OtherLanguage(
        ("로그인 화면", "파서", "캐시 서버", "검색 창"),
        (
            (
                "{c} 시작할 때 오류 발생",
                "버전 {v} 업데이트 후 프로그램을 실행하면 바로 {c} 쪽에서 오류가 발생합니다.",
            ),
            ("{c} 속도가 너무 느림", "큰 파일을 열면 {c} 응답까지 몇 분씩 걸려서 사용할 수 없습니다."),
        ),
        ("환경은 {os} 입니다.", "다시 설치해도 같습니다.", "감사합니다!"),
    ),
    "arabic": OtherLanguage(
        ("الخادم", "المحلل", "التطبيق", "محرك البحث", "المجدول"),
        (
            (
                "{c} يتوقف عند بدء التشغيل",
                "بعد التحديث إلى الإصدار {v} أصبح {c} يتوقف مباشرة عند بدء التشغيل.",
            ),
            ("{c} بطيء جدا مع الملفات الكبيرة", "عند فتح ملف كبير يحتاج {c} إلى عدة دقائق حتى يستجيب."),
            (
                "{c} لا يعرض النص العربي",
                "الحروف العربية تظهر كعلامات استفهام لأن {c} لا يدعم الكتابة من اليمين إلى اليسار.",
            ),
        ),
        ("أستخدم نظام {os}.", "كان كل شيء يعمل من قبل.", "شكرا لكم!"),
    ),
    "hebrew": OtherLanguage(
        ("השרת", "המנתח", "היישום", "מנוע החיפוש", "המתזמן"),
        (
            ("{c} קורס בזמן ההפעלה", "מאז העדכון לגרסה {v} בכל הפעלה {c} קורס בלי שום הודעה."),
            ("{c} איטי מאוד עם קבצים גדולים", "כאשר פותחים קובץ גדול {c} לא מגיב במשך כמה דקות."),
            ("{c} לא מציג עברית", "אותיות בעברית מופיעות כסימני שאלה כי {c} לא תומך בכיוון מימין לשמאל."),
        ),
        ("מערכת ההפעלה היא {os}.", "בגרסה הקודמת הכול עבד.", "תודה רבה!"),
    ),
}
