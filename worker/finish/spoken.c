#include "spoken.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"

typedef struct {
    const char *sign[3]; /* before or behind the number */
    const char *one, *many;
} Coin;

static const Coin german[] = {{{"€", "EUR", NULL}, "Euro", "Euro"},
                              {{"$", "USD", NULL}, "Dollar", "Dollar"},
                              {{"£", "GBP", NULL}, "Pfund", "Pfund"},
                              {{"CHF", "Fr.", NULL}, "Franken", "Franken"}};
static const Coin english[] = {{{"€", "EUR", NULL}, "euro", "euros"},
                               {{"$", "USD", NULL}, "dollar", "dollars"},
                               {{"£", "GBP", NULL}, "pound", "pounds"},
                               {{"CHF", NULL, NULL}, "franc", "francs"}};
enum { COINS = sizeof german / sizeof *german };

static const char *const month_de[] = {"Januar", "Februar", "März",      "April",   "Mai",      "Juni",
                                       "Juli",   "August",  "September", "Oktober", "November", "Dezember"};
static const char *const month_en[] = {"January", "February", "March",     "April",   "May",      "June",
                                       "July",    "August",   "September", "October", "November", "December"};

static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_word(char c) { return is_digit(c) || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c & 0x80); }

static size_t spaces(const char *text) /* also the no-break ones that are written between a number and its sign */
{
    size_t n = 0;
    for (;;) {
        if (text[n] == ' ')
            n++;
        else if (strncmp(text + n, "\xC2\xA0", 2) == 0)
            n += 2;
        else if (strncmp(text + n, "\xE2\x80\xAF", 3) == 0)
            n += 3;
        else
            return n;
    }
}

/* ---- money ------------------------------------------------------------------------------------------------------------ */

typedef struct {
    char whole[32], part[3];
    size_t bytes;
} Amount;

/* "1.234,50" in German, "1,234.50" in English. */
static bool read_amount(const char *text, bool de, Amount *a)
{
    size_t n = 0, used = 0;
    char group = de ? '.' : ',', comma = de ? ',' : '.';
    *a = (Amount){0};
    if (!is_digit(*text)) return false;
    for (; used < sizeof a->whole - 1; n++) {
        if (is_digit(text[n]))
            a->whole[used++] = text[n];
        else if (text[n] != group || !is_digit(text[n + 1]) || !is_digit(text[n + 2]) || !is_digit(text[n + 3]) ||
                 is_digit(text[n + 4]))
            break;
    }
    if (text[n] == comma && is_digit(text[n + 1]) && is_digit(text[n + 2]) && !is_digit(text[n + 3])) {
        memcpy(a->part, text + n + 1, 2);
        n += 3;
    } else if (text[n] == comma && text[n + 1] == '-') { /* 20,- */
        n += 2;
    }
    if (is_digit(text[n])) return false;
    a->bytes = n;
    return true;
}

static const Coin *coin_at(const char *text, bool de, size_t *bytes)
{
    const Coin *all = de ? german : english;
    for (int i = 0; i < COINS; i++)
        for (int k = 0; k < 3 && all[i].sign[k]; k++) {
            size_t n = strlen(all[i].sign[k]);
            bool letters = is_word(all[i].sign[k][0]) && !(all[i].sign[k][0] & 0x80);
            if (strncmp(text, all[i].sign[k], n) != 0 || (letters && is_word(text[n]))) continue;
            *bytes = n;
            return &all[i];
        }
    return NULL;
}

/* Writes it in words and returns how many bytes of the text it took; 0: there is no amount here. */
static size_t say_amount(const char *text, bool de, FILE *to)
{
    Amount a;
    size_t sign = 0, gap = 0;
    const Coin *coin = coin_at(text, de, &sign);
    if (coin) {
        gap = spaces(text + sign);
        if (!read_amount(text + sign + gap, de, &a)) return 0;
    } else {
        if (!read_amount(text, de, &a)) return 0;
        gap = spaces(text + a.bytes);
        coin = coin_at(text + a.bytes + gap, de, &sign);
        if (!coin) return 0;
    }
    bool one = strcmp(a.whole, "1") == 0;
    fprintf(to, "%s %s", one ? de ? "ein" : "one" : a.whole, one ? coin->one : coin->many);
    if (strcmp(a.part, "00") != 0 && *a.part) fprintf(to, " %s", *a.part == '0' ? a.part + 1 : a.part);
    return sign + gap + a.bytes;
}

/* ---- dates and times --------------------------------------------------------------------------------------------------- */

static bool is_date(int day, int month, int year)
{
    return day >= 1 && day <= 31 && month >= 1 && month <= 12 && year >= 1000;
}

static size_t say_date(const char *text, bool de, FILE *to)
{
    int day = 0, month = 0, year = 0, n = 0;
    if (sscanf(text, "%4d-%2d-%2d%n", &year, &month, &day, &n) != 3 || n != 10 || !is_date(day, month, year)) {
        n = 0;
        if (!de || sscanf(text, "%2d.%2d.%4d%n", &day, &month, &year, &n) != 3 || n < 8 || !is_date(day, month, year))
            return 0;
    }
    if (is_word(text[n])) return 0;
    if (de)
        fprintf(to, "%d. %s %d", day, month_de[month - 1], year);
    else
        fprintf(to, "%s %d, %d", month_en[month - 1], day, year);
    return (size_t)n;
}

static size_t say_time(const char *text, bool de, FILE *to)
{
    int hour = 0, minute = 0, n = 0;
    if (!de || sscanf(text, "%2d:%2d Uhr%n", &hour, &minute, &n) != 2 || n < 8 || hour > 24 || minute > 59) return 0;
    if (minute)
        fprintf(to, "%d Uhr %d", hour, minute);
    else
        fprintf(to, "%d Uhr", hour);
    return (size_t)n;
}

char *spoken_text(const char *text, const char *language)
{
    bool de = strncmp(language, "de", 2) == 0, en = strncmp(language, "en", 2) == 0;
    char *out = NULL;
    size_t bytes = 0;
    if (!de && !en) return text_copy(text);
    FILE *to = open_memstream(&out, &bytes);
    if (!to) abort();
    for (const char *at = text; *at;) {
        size_t n = 0;
        bool starts = at == text || (!is_word(at[-1]) && !((at[-1] == '.' || at[-1] == ',') && is_digit(*at) &&
                                                           at - 1 > text && is_digit(at[-2])));
        if (starts) n = say_date(at, de, to);
        if (starts && !n) n = say_time(at, de, to);
        if (starts && !n) n = say_amount(at, de, to);
        if (!n) fputc(*at, to);
        at += n ? n : 1;
    }
    fclose(to);
    return out;
}
