"""The section `text` of the settings: how text is converted to ids, and which issues train a model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.settings.section import Section


class Text(Section):
    """How text is converted to ids. The setting `model.variant` names the network. With `copy`, text has one
    id per subword (a frequent piece of text). With `gru` or `gru_cudnn`, it has one id per word.

    The settings `text.min_*` and `text.max_*` limit which issues are used for training. The defaults of
    `text.body_words`, `text.title_words`, `text.body_length` and `text.title_length` are the values in the
    article of 2018 that Titler is based on.
    """

    subwords: int = Field(
        default=8000,
        ge=257,
        description='if model.variant is "copy": maximum number of subwords in the vocabulary, including one '
        "subword for each of the 256 byte values",
    )
    body_units: int = Field(
        default=256,
        ge=1,
        description='if model.variant is "copy": number of subword ids per body. A longer body is cut, and a '
        "shorter one is padded",
    )
    title_units: int = Field(
        default=24,
        ge=3,
        description='if model.variant is "copy": number of subword ids per title, including the markers '
        "_start_ and _end_. A longer title is cut, and a shorter one is padded",
    )
    engine: Literal["titler", "ktext"] = Field(
        default="titler",
        description='code that splits text into words: "titler" (Titler\'s own code) or "ktext" (the package '
        "ktext 0.40 from PyPI, which gives the same words but is slower)",
    )
    body_words: int = Field(
        default=8000,
        ge=1,
        description='if model.variant is "gru" or "gru_cudnn": maximum number of words in the vocabulary of '
        "bodies",
    )
    title_words: int = Field(
        default=4500,
        ge=1,
        description='if model.variant is "gru" or "gru_cudnn": maximum number of words in the vocabulary of '
        "titles",
    )
    body_length: int = Field(
        default=70,
        ge=1,
        description='if model.variant is "gru" or "gru_cudnn": number of word ids per body. A longer body is '
        "cut, and a shorter one is padded",
    )
    title_length: int = Field(
        default=12,
        ge=3,
        description='if model.variant is "gru" or "gru_cudnn": number of word ids per title, including the '
        "markers _start_ and _end_. A longer title is cut, and a shorter one is padded",
    )
    min_body_words: int = Field(
        default=6,
        ge=0,
        description="minimum number of words in the body of an issue. Issues with fewer words are not used "
        "for training",
    )
    min_title_words: int = Field(
        default=3,
        ge=0,
        description="minimum number of words in the title of an issue. Issues with fewer words are not used "
        "for training",
    )
    characters_per_word: int = Field(
        default=2,
        ge=1,
        le=20,
        description="number of Chinese or Japanese characters that count as one word for "
        "text.min_body_words and text.min_title_words, because these languages have no white "
        "space between words. In Thai, Lao, Burmese and Khmer, twice this number of characters "
        "counts as one word. In other languages, white space separates words",
    )
    max_title_characters: int = Field(
        default=400,
        ge=1,
        description="maximum number of characters in the title of an issue. Issues with more characters are "
        "not used for training",
    )
    max_body_characters: int = Field(
        default=2000,
        ge=1,
        description="maximum number of characters in the body of an issue. Issues with more characters are "
        "not used for training",
    )
