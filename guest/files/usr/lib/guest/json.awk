# Reads one JSON document; prints `path<TAB>value` for every scalar, the path's parts joined by dots, list items by number.
# In strings \" \\ \/ are undone and other escapes (\n among them) stay as they are written.
{ text = text $0 "\n" }

END { value("") }

function take(pattern) {
    sub(/^[ \t\r\n]+/, "", text)
    if (!match(text, "^(" pattern ")")) return 0
    token = substr(text, 1, RLENGTH)
    text = substr(text, RLENGTH + 1)
    return 1
}

function plain(string) {
    string = substr(string, 2, length(string) - 2)
    gsub(/\\\\/, "\001", string)
    gsub(/\\"/, "\"", string)
    gsub(/\\\//, "/", string)
    gsub(/\001/, "\\", string)
    return string
}

function value(path,    dot, count) {
    dot = path == "" ? "" : path "."
    if (take("[{]")) {
        while (take("\"([^\"\\\\]|\\\\.)*\"")) member(dot plain(token))
        take("[}]")
    } else if (take("\\[")) {
        while (!take("\\]") && length(text) > 1) {
            value(dot count++ + 0)
            take(",")
        }
    } else if (take("\"([^\"\\\\]|\\\\.)*\"")) {
        print path "\t" plain(token)
    } else if (take("[-+.0-9a-zA-Z]+")) {
        print path "\t" token
    } else {
        exit 1
    }
}

function member(path) {
    take(":")
    value(path)
    take(",")
}
