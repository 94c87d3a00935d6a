// Makes every table with the class "sortable" sortable: a button in each column's heading sorts the rows.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells];
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    heading.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => {
      const descending = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach((each) => each.setAttribute("aria-sort", "none"));
      heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
      const compare = (a, b) =>
        heading.classList.contains("number") ? Number(key(a)) - Number(key(b)) : key(a).localeCompare(key(b));
      const rows = [...table.tBodies[0].rows].sort(compare);
      table.tBodies[0].append(...(descending ? rows.reverse() : rows));
    });
  });
}
