// The main table sorts and filters by DataTables, which lies in this page; without it, it is a table.
(async () => {
  const text = (id) => new TextDecoder().decode(
    Uint8Array.from(atob(document.getElementById(id).textContent), (letter) => letter.charCodeAt(0)));
  const style = document.createElement("style");
  style.textContent = text("table-style");
  document.head.prepend(style);
  const address = URL.createObjectURL(new Blob([text("table-script")], { type: "text/javascript" }));
  const { default: DataTable } = await import(address);
  URL.revokeObjectURL(address);
  new DataTable("#main", {
    paging: false, info: false, order: [], autoWidth: false,
    layout: { topStart: "search", topEnd: null },
    columnDefs: [{ targets: "text", columnControl: [["searchList"]] }],
    language: { search: "", searchPlaceholder: "filter rows" },
  });
  document.documentElement.dataset.ready = "true";
})();
