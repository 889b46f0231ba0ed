#include "territory.h"

#include <string.h>

/* ISO 3166-1, as of 2026, in order of the alphabet. */
static const char countries[] = " AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN "
                                "BO BQ BR BS BT BV BW BY BZ CA CC CD CF CG "
                                "CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI "
                                "FJ FK FM FO FR GA GB GD GE GF GG GH GI GL "
                                "GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT JE JM "
                                "JO JP KE KG KH KI KM KN KP KR KW KY KZ LA "
                                "LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU "
                                "MV MW MX MY MZ NA NC NE NF NG NI NL NO NP "
                                "NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD "
                                "SE SG SH SI SJ SK SL SM SN SO SR SS ST SV "
                                "SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE "
                                "VG VI VN VU WF WS YE YT ZA ZM ZW ";
static const char union_members[] =
    " AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK ";
static const char area_members[] =
    " AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK IS LI NO ";

/* " DE FR ", the countries of a name; NULL: unknown. A country's own list is written into `one`. */
static const char *members(const char *name, char one[8])
{
    if (strcmp(name, "WORLD") == 0) return countries;
    if (strcmp(name, "EU") == 0) return union_members;
    if (strcmp(name, "EEA") == 0) return area_members;
    if (strcmp(name, "UK") == 0) name = "GB";
    if (strlen(name) != 2) return NULL;
    memcpy(one, (char[]){' ', name[0], name[1], ' ', 0}, 5);
    return strstr(countries, one) ? one : NULL;
}

static int count_common(const char *a, const char *b)
{
    int n = 0;
    for (const char *p = a; p[1]; p += 3) {
        const char word[] = {' ', p[1], p[2], ' ', 0};
        n += strstr(b, word) != NULL;
    }
    return n;
}

bool trust_territory_known(const char *name)
{
    char one[8];
    return members(name, one) != NULL;
}

bool trust_territory_within(const char *place, const char *region)
{
    char a[8], b[8];
    const char *of_place = members(place, a), *of_region = members(region, b);
    if (!of_place || !of_region) return false;
    return count_common(of_place, of_region) == (int)(strlen(of_place) / 3);
}

bool trust_territory_overlaps(const char *place, const char *region)
{
    char a[8], b[8];
    const char *of_place = members(place, a), *of_region = members(region, b);
    return of_place && of_region && count_common(of_place, of_region) > 0;
}
