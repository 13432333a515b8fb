"""The languages that words are divided in: their names, their vowels, and which of them a text is in."""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec

from midigen.errors import BadRequest, MissingTool

CHINESE, JAPANESE, KOREAN, ENGLISH = "zh", "ja", "ko", "en"


@dataclass(frozen=True)
class Language:
    """A language: its code (ISO 639-1), its name, the dictionary that pyphen knows it by (empty: none), and the vowels
    that are one nucleus of a syllable (a regular expression; empty where only the dictionary divides)."""

    code: str
    name: str
    dictionary: str = ""
    nucleus: str = ""


_LATIN = "aeiouyàáâãäåæèéêëìíîïòóôõöøùúûüýÿāēīōūąęőűůě"
# Two strong vowels are two syllables, a weak one (i, u) beside another is none of its own unless it has an accent.
_SPANISH = r"(?:(?<=[qg])u(?=[eiéí])|[iuü](?=[aeoáéóiuíú]))?[aeoáéóíú](?:[iuy](?![aeoáéóíú]))?|[iuüy](?:[iu])?"
_GERMAN = r"äu|au|ei|ai|ey|ay|eu|ie|aa|ee|oo|(?<=q)u[aeiou]|[aeiouyäöüéàè]"
_NORDIC = r"(?<=q)u[aeiou]|au|eu|ei|øy|øi|ai|[aeiouyåäöæøé]"
_DUTCH = r"(?:aa|oo|ee|ie|oe|u)i(?!j)|[aio]eeuw?|eeu|ieu|aai|oei|ij|ei|ie|oe|eu|ou|au|ui|aa|ee|oo|uu|[aeiouyéëèïöü]"
_FINNISH = r"aa|ee|ii|oo|uu|yy|ää|öö|ai|ei|oi|ui|yi|äi|öi|au|eu|iu|ou|ey|äy|öy|ie|uo|yö|[aeiouyäöå]"
_SLAVIC = r"ou|au|eu|[aeiouyáéíóúůýěäôľ]|(?<=[^aeiouyáéíóúůýě\W])[rlŕĺ](?![aeiouyáéíóúůýěäô])"
_SOUTH_SLAVIC = r"[aeiou]|(?<![aeiou])r(?![aeiou])"
_POLISH = r"i?[aeoóuąęy]|i|au(?!\w)"
_EACH = f"[{_LATIN}ıəơư]"
_GROUP = f"[{_LATIN}]+"
_ROMANIAN = r"[iu]?(?:ea|oa|ia|ie|io|iu|[aeouăâî])[iu]?(?![aeo])|[iu]"
_GREEK = r"αι|ει|οι|υι|ου|αυ|ευ|ηυ|αί|εί|οί|ού|αύ|εύ|ι(?=[αάοόεέωώ])[αάοόεέωώ]|[αεηιουωάέήίόύώϊϋΐΰ]"
_CYRILLIC = "[аеёиоуыэюяіїєўәөү]".replace("ў", "")

_TABLE = (
    Language(ENGLISH, "English", "en_US"),
    Language("de", "German", "de_DE", _GERMAN),
    Language("fr", "French", "fr"),
    Language("es", "Spanish", "es", _SPANISH),
    Language("it", "Italian", "it_IT", r"[iu]?[aeoàèéòó](?:[iu](?![aeoàèéòó]))?|[iuìùíú]"),
    Language("pt", "Portuguese", "pt_PT", r"ão|ãe|õe|[iu]?[aeoáâãàéêóôõíú](?:[iu](?![aeo]))?|[iu]"),
    Language("nl", "Dutch", "nl_NL", _DUTCH),
    Language("sv", "Swedish", "sv", _NORDIC),
    Language("da", "Danish", "da_DK", _NORDIC),
    Language("nb", "Norwegian", "nb_NO", _NORDIC),
    Language("nn", "Nynorsk", "nn_NO", _NORDIC),
    Language("is", "Icelandic", "is", r"au|ei|ey|[aeiouyáéíóúýæö]"),
    Language("fi", "Finnish", "", _FINNISH),
    Language("et", "Estonian", "et_EE", r"[aeiouyõäöü]{1,2}"),
    Language("pl", "Polish", "pl_PL", _POLISH),
    Language("cs", "Czech", "cs_CZ", _SLAVIC),
    Language("sk", "Slovak", "sk_SK", r"ia|ie|iu|" + _SLAVIC),
    Language("sl", "Slovenian", "sl_SI", _SOUTH_SLAVIC),
    Language("hr", "Croatian", "hr_HR", _SOUTH_SLAVIC),
    Language("hu", "Hungarian", "hu_HU", r"[aeiouáéíóöőúüű]"),
    Language("ro", "Romanian", "ro_RO", _ROMANIAN),
    Language("ca", "Catalan", "ca", _SPANISH.replace("áéó", "áàéèóò")),
    Language("gl", "Galician", "gl", _SPANISH),
    Language("eu", "Basque", "eu", r"ai|ei|oi|ui|au|eu|[aeiou]"),
    Language("lt", "Lithuanian", "lt", r"ai|au|ei|ie|ui|uo|i[aąoųuū]|[aeiouyąęėįųū]"),
    Language("lv", "Latvian", "lv_LV", r"ai|au|ei|ie|ui|oi|[aeiouāēīū]"),
    Language("sq", "Albanian", "sq_AL", r"[aeiouyë]"),
    Language("tr", "Turkish", "", r"[aeıioöuüâîû]"),
    Language("id", "Indonesian", "id_ID", r"ai\b|au\b|oi\b|[aeiou]"),
    Language("eo", "Esperanto", "eo", r"[aeiou]"),
    Language("la", "Latin", "", r"ae|oe|au|[aeiouyāēīōū]"),
    Language("af", "Afrikaans", "af_ZA", r"ooi|aai|oei|eeu|ie|oe|eu|ou|ui|ei|y|aa|ee|oo|uu|[aeiouêëîôû]"),
    Language("zu", "Zulu", "zu_ZA", r"[aeiou]"),
    Language("ru", "Russian", "ru_RU", _CYRILLIC),
    Language("uk", "Ukrainian", "uk_UA", _CYRILLIC),
    Language("be", "Belarusian", "be_BY", _CYRILLIC),
    Language("bg", "Bulgarian", "bg_BG", "[аеиоуъюяѝ]"),
    Language("sr", "Serbian", "sr", "[аеиоу]|(?<![аеиоу])р(?![аеиоу])"),
    Language("mn", "Mongolian", "mn_MN", "[аеёиоөуүыэюяй]+"),
    Language("el", "Greek", "el_GR", _GREEK),
    Language("th", "Thai", "th_TH"),
    Language("mr", "Marathi", "mr_IN"),
    Language("te", "Telugu", "te_IN"),
    Language("kn", "Kannada", "kn_IN"),
    Language("pa", "Punjabi", "pa_IN"),
    Language("sa", "Sanskrit", "sa_IN"),
    Language(KOREAN, "Korean"),
    Language(JAPANESE, "Japanese"),
    Language(CHINESE, "Chinese"),
)
LANGUAGES = {language.code: language for language in _TABLE}
# Letters by the first word of their Unicode name, where one language is by far the likeliest.
_SCRIPTS = {
    "HANGUL": KOREAN, "HIRAGANA": JAPANESE, "KATAKANA": JAPANESE, "CJK": CHINESE, "GREEK": "el", "CYRILLIC": "ru",
    "THAI": "th", "DEVANAGARI": "mr", "TELUGU": "te", "KANNADA": "kn", "GURMUKHI": "pa", "LATIN": "",
}  # fmt: skip
_FEWEST_LETTERS = 12  # in a text whose language is guessed; fewer are taken for English


def language_of(name: str) -> Language:
    """The language of a code (``"de"``, ``"pt_BR"``, ``"zh-Hans"``) or an English name. Raises :class:`BadRequest`."""
    wanted = name.strip().lower()
    short = wanted.replace("_", "-").split("-")[0]
    for language in _TABLE:
        if wanted == language.name.lower() or short == language.code:
            return language
    if short == "no":
        return LANGUAGES["nb"]
    raise BadRequest(f"language {name!r}: choose from {', '.join(LANGUAGES)}")


def detect(text: str) -> Language:
    """The language a text seems to be in: by its script, and where several share that by its letters.

    Raises :class:`MissingTool` where py3langid is needed and not there.
    """
    letters = [letter for letter in text if letter.isalpha()]
    scripts = Counter(
        unicodedata.name(letter, "").split()[0:1][0] for letter in letters if unicodedata.name(letter, "")
    )
    found = {script: scripts[script] for script in _SCRIPTS if scripts[script]}
    if not found:
        return LANGUAGES[ENGLISH]
    kana = found.get("HIRAGANA", 0) + found.get("KATAKANA", 0)
    if kana and 10 * kana >= found.get("CJK", 0):  # of Japanese texts a third is kana or more
        found = {**found, "CJK": 0, "KATAKANA": 0, "HIRAGANA": kana + found.get("CJK", 0)}
    if "CJK" in found:  # a character is worth several letters
        found["CJK"] *= 3
    script = max(found, key=lambda name: found[name])
    if script not in ("LATIN", "CYRILLIC"):
        return LANGUAGES[_SCRIPTS[script]]
    if len(letters) < _FEWEST_LETTERS:
        return LANGUAGES[_SCRIPTS[script] or ENGLISH]
    need_for_lyrics("py3langid", "say --language")
    import py3langid

    cyrillic = [language.code for language in _TABLE if language.nucleus[1:2] > "\u0400"]
    latin = [language.code for language in _TABLE if language.dictionary or language.nucleus]
    wanted = cyrillic if script == "CYRILLIC" else [code for code in latin if code not in cyrillic]
    known = [code for code, _ in py3langid.rank(text)]  # the model's, best first
    return LANGUAGES[next((code for code in known if code in wanted), _SCRIPTS[script] or ENGLISH)]


def need_for_lyrics(name: str, or_else: str = "") -> None:
    """Raise :class:`MissingTool` where the library ``name`` is not installed; ``or_else`` is another way out."""
    if find_spec(name) is None:
        cure = f"pip install {name}" + (f", or {or_else}" if or_else else "")
        raise MissingTool(f"{name} is not installed, which these lyrics need; {cure}")
