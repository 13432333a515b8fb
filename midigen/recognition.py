"""What the name of a part says about its instrument, in the languages that people name parts in."""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from midigen.instruments import OTHER

# For each kind, in the order they are asked: "bass drum" is drums, "bass guitar" a bass. Each is a pattern for whole
# words of the name in small letters without accents, "_" for the space between two.
_WORDS = {
    "drums": r"""\w*drum(?:s|mer|kit|set)? drum\w* perc per[ck]us\w* batter(?:y|ia|ie) bateri[ae]? \w*schlagzeug\w*
        sch?lagwerk slagver?k trommel\w* \w*trommel trumm(?:or|set) trommer rummut bici kick snare hi_?hats? toms
        cymbals? ударн\w* барабан\w*""",
    "bass": r"""\w*bass basse bass[io] \w*bass_?(?:line|git\w*|guit\w*) contre_?basse contr?abb?asso contrabasso
        (?:contra)?ba[ij]x?o (?:\w*kontra|el)?bas bas[gk]\w*tar\w* basgitaar fretless бас бас_?гитар\w* контрабас\w*""",
    "guitar": r"""\w*guit\w* \w*gitar\w* gitaar chitarr\w* \w*gtrs? kitara kytara гитар\w* stratocaster strat telecaster
        les_paul""",
    "piano": r"""\w*piano\w* \w*klavier flugel fluegel flygel \w*klaver klavir pianino fortepian\w* zongora rhodes
        wurlitzer wurli keyboards? keys cembalo clavicembalo harpsichord clavecin clavinet пианино фортепиано роял\w*
        клавиш\w* клавесин""",
    # Instruments of no kind of ours. They go before a bass that is one of a family ("bass clarinet", a choir's bass).
    OTHER: r"""bassoon basson fagott\w* \w*clarin\w* \w*klarin\w* trombones? posaune\w* sax\w* \w*sax \w*fl[ou]te\w*
        voices? vocals? vox choirs? chor choeur choral coro singer soprano alto tenor tuba \w*horns? cor recorder
        marimba\w* trump\w* \w*trompet\w* viol\w* geige\w* cell[oi] \w*strings? streicher\w* cordes archi organ\w*
        \w*orgel\w* orgue oboe\w* hautbois brass blas\w* harp harfe harpe arpa timpan\w* pauken? vibra\w* xylo\w*
        glocken\w* celesta accord[ei]on\w* akkordeon harmonica sitar banjo mandolin\w* ukulele whistle bagpipes?
        steel_?(?:drums?|pans?) скрипк\w* флейт\w* труб\w* орган\w* хор струн\w*""",
}
# Signs of Chinese, Japanese and Korean, wherever they stand in the name.
_SIGNS = {
    "drums": "ドラム パーカッション 打楽器 打击乐 打擊樂 鼓 드럼 타악기",
    "bass": "ベース コントラバス 贝斯 貝斯 贝司 低音吉他 베이스",
    "guitar": "ギター 吉他 結他 结他 기타",
    "piano": "ピアノ エレピ 钢琴 鋼琴 电钢 键盘 鍵盤 피아노 키보드",
    OTHER: """ストリング 絃 弦 フルート トランペット トロンボーン サックス サクソ ホルン オルガン クラリネット コーラス
        提琴 笛 小号 萨克斯 合唱 风琴""",
}


def kind_by_name(name: str) -> str | None:
    """The row of :mod:`midigen.instruments` that a part called ``name`` plays, ``"other"`` for an instrument of none,
    or ``None`` where the name says nothing."""
    plain = _plain(name)
    said = [kind for kind in _WORDS if _pattern(kind).search(plain)]
    if OTHER in said and said[0] in ("drums", "bass") and not re.search(r"\bstring bass\b", plain):
        return OTHER
    return said[0] if said else None


def has_music_word(text: str) -> bool:
    """Whether ``text`` spells an instrument in letters that are not ASCII."""
    if text.isascii() or kind_by_name(text) is None:
        return False
    return kind_by_name("".join(letter if letter.isascii() else " " for letter in text)) is None


def _plain(name: str) -> str:
    """Small letters without accents, words apart; Japanese voicing marks stay, half a sign becomes a whole one."""
    folded = unicodedata.normalize("NFKC", name).casefold()
    kept = "".join(c for c in unicodedata.normalize("NFD", folded) if not "\u0300" <= c <= "\u036f")
    # An "e-bass" is two words, of which the second tells; figures and signs part words.
    return re.sub(r"[\W\d_]+", " ", unicodedata.normalize("NFC", kept))


@cache
def _pattern(kind: str) -> re.Pattern[str]:
    words = "|".join(_WORDS[kind].split()).replace("_", " ")
    return re.compile(rf"\b(?:{words})\b|" + "|".join(_SIGNS[kind].split()))
