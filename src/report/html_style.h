/* The style sheet of all pages. Colours that carry meaning are Okabe and Ito's; meaning is also in form (solid or
 * broken frames, marks). Drawings are made for light ground: in the dark they are inverted with hues kept. */
#ifndef BITTERN_REPORT_HTML_STYLE_H
#define BITTERN_REPORT_HTML_STYLE_H

static const char bt_html_style[] =
    ":root{color-scheme:light dark;--ink:#1f2430;--soft:#5b6270;--ground:#f6f6f2;--card:#fff;--line:#e1e1db;"
    "--blue:#0072b2;--orange:#d55e00;--tint:#e8f2f9}"
    "@media screen and (prefers-color-scheme:dark){:root{--ink:#e6e6e2;--soft:#a2a8b3;--ground:#15181d;--card:#1d2128;"
    "--line:#323842;--blue:#56b4e9;--orange:#e69f00;--tint:#22303c}"
    "figure svg{filter:invert(.9) hue-rotate(180deg)}}"
    "*{box-sizing:border-box}"
    "body{font:16px/1.55 system-ui,-apple-system,'Segoe UI','Noto Sans','DejaVu Sans',sans-serif;color:var(--ink);"
    "background:var(--ground);margin:0;overflow-wrap:break-word}"
    "main{max-width:1060px;margin:0 auto;padding:40px 28px 72px}"
    "h1{font-size:30px;line-height:1.2;margin:0 0 4px;letter-spacing:-.01em}"
    "h2{font-size:21px;margin:52px 0 12px;padding-top:14px;border-top:1px solid var(--line)}"
    "h3{font-size:16px;margin:28px 0 6px}"
    ".sub{color:var(--soft);margin:0 0 18px}p{max-width:72ch;margin:10px 0}"
    ".note,figcaption{color:var(--soft);font-size:14px;line-height:1.45}figcaption{padding:4px 8px 2px}"
    "nav{display:flex;flex-wrap:wrap;gap:4px 18px;margin:0 0 22px;font-size:15px}"
    "a{color:var(--blue);text-decoration:none}a:hover{text-decoration:underline}"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(165px,1fr));gap:12px;margin:18px 0}"
    ".tile{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:12px 16px}"
    ".tile span{display:block;color:var(--soft);font-size:14px}"
    ".tile b{display:block;font-size:28px;line-height:1.25;font-variant-numeric:tabular-nums}"
    ".tile small{color:var(--soft);font-size:13px}.main{border-color:var(--blue);background:var(--tint)}"
    "figure{margin:14px 0;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:10px;"
    "break-inside:avoid}"
    "svg{max-width:100%;height:auto;display:block;margin:0 auto}.wide svg{width:min(100%,740px)}"
    ".pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(330px,1fr));gap:14px}.pair{align-items:start;"
    "margin:14px 0}.pair figure{margin:0}.pair>*{min-width:0}.column .scroll{width:auto}.column table{width:100%}"
    ".scroll{overflow-x:auto;width:fit-content;max-width:100%;margin:12px 0;background:var(--card);border:1px solid "
    "var(--line);border-radius:8px}"
    "table{border-collapse:collapse;min-width:300px;font-size:15px;font-variant-numeric:tabular-nums}"
    "th,td{padding:6px 14px;text-align:left;white-space:nowrap}td{border-top:1px solid var(--line)}"
    "th{font-weight:600;color:var(--soft);font-size:13px}td small{display:block;color:var(--soft);font-size:12.5px;"
    "font-weight:400}.r{text-align:right}"
    ".strong td{font-weight:600;background:var(--tint)}"
    "details{margin:12px 0}summary{cursor:pointer;color:var(--blue);margin:6px 0}"
    ".strip{display:grid;grid-template-columns:repeat(11,1fr);gap:8px 6px;margin:12px 0 22px;break-inside:avoid}"
    ".strip .of{grid-column:1/-1;margin:0;font-size:14px;color:var(--soft);max-width:none}"
    ".strip "
    "div{font-size:11px;letter-spacing:-.02em;line-height:1.25;color:var(--soft);text-align:center;min-width:0;"
    "position:relative}"
    ".strip img,.gone{width:100%;aspect-ratio:1;object-fit:cover;border:3px solid var(--line);border-radius:6px;"
    "display:block;margin-bottom:3px}.gone{display:grid;place-items:center}"
    ".q img{border-color:var(--ink)}.q span{font-weight:600;color:var(--ink)}"
    ".hit img{border-color:var(--blue)}.miss img{border:3px dashed var(--orange)}"
    ".hit::after,.miss::after{position:absolute;top:5px;right:5px;width:16px;height:16px;border-radius:50%;"
    "font:700 11px/16px system-ui,sans-serif;color:#fff}"
    ".hit::after{content:'\\2713';background:#0072b2}.miss::after{content:'\\00d7';background:#d55e00}"
    "footer{margin-top:56px;padding-top:14px;border-top:1px solid var(--line);color:var(--soft);font-size:13px}";

/** Phones and paper. */
static const char bt_html_style_narrow[] =
    "@media (max-width:640px){main{padding:24px 16px 48px}h1{font-size:25px}"
    ".strip{grid-template-columns:repeat(4,1fr)}.pair{grid-template-columns:1fr}.wide{overflow-x:auto}.wide "
    "svg{max-width:none;width:max(100%,430px)}th,td{padding:6px 10px}"
    ".tiles{grid-template-columns:1fr 1fr;gap:8px}.tile{padding:10px 12px}.tile b{font-size:24px}}"
    "@media print{:root{color-scheme:light}body{background:#fff;font-size:11pt}main{max-width:none;padding:0}"
    ".scroll,.wide{overflow:visible}.scroll{width:auto}table{font-size:9.5pt}th,td{padding:3px 7px;white-space:normal}"
    "tr{break-inside:avoid}.strip div{font-size:6.5pt}"
    ".wide svg{width:560px}nav,details{display:none}h2,h3{break-after:avoid}.hit::after,.miss::after,.main,.strong td"
    "{print-color-adjust:exact;-webkit-print-color-adjust:exact}}";

#endif
