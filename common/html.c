#include "html.h"

#include <stdbool.h>
#include <string.h>

#include "common/foreign.h"

void html_put(FILE *f, const char *text)
{
    for (const char *p = text; *p; p++) {
        const size_t control = foreign_control(p);
        if (control) {
            putc('?', f);
            p += control - 1;
            continue;
        }
        switch (*p) {
        case '&':
            fputs("&amp;", f);
            break;
        case '<':
            fputs("&lt;", f);
            break;
        case '>':
            fputs("&gt;", f);
            break;
        case '"':
            fputs("&quot;", f);
            break;
        case '\'':
            fputs("&#39;", f);
            break;
        default:
            putc(*p, f);
        }
    }
}

void html_put_apart(FILE *f, const char *text)
{
    fputs("<bdi>", f);
    html_put(f, text);
    fputs("</bdi>", f);
}

void html_put_address(FILE *f, const char *path)
{
    for (const char *p = path; *p; p++) {
        unsigned char c = (unsigned char)*p;
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("/-_.~", c);
        if (plain)
            putc(c, f);
        else
            fprintf(f, "%%%02X", c);
    }
}
