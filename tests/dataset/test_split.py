"""The split into subsets by repository is always the same."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.dataset.split import subset_of


def test_the_part_of_a_repository_never_changes():
    assert [subset_of(repo) for repo in ("rust-lang/rust", "golang/go", "opencv/opencv")] == [
        "train",
        "train",
        "validation",
    ]


def test_validation_and_test_have_about_a_tenth_of_the_repositories_each():
    subsets = [subset_of(f"owner/{number}") for number in range(10_000)]
    assert 900 < subsets.count("validation") < 1100
    assert 900 < subsets.count("test") < 1100


@given(st.text())
def test_every_repository_name_belongs_to_one_part(repo):
    assert subset_of(repo) == subset_of(repo)
    assert subset_of(repo) in ("train", "validation", "test")
