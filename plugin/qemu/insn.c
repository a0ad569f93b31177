/* insn.c: the length of an x86-64 instruction, see insn.h.
 *
 * The map gives one letter per opcode, what follows it:
 *   0 nothing             m ModRM               b imm8          B ModRM, imm8
 *   z imm16 or imm32      Z ModRM, imm16/32     w imm16         e imm16, imm8 (enter)
 *   v imm16, 32 or 64     a address, 64 or 32   x rel32         g ModRM, imm8 for test only
 *   G ModRM, imm16/32 for test only             D ModRM, imm8, imm8 (extrq, insertq)
 */
#include "insn.h"

static const char ONE_BYTE[16][17] = {
    "mmmmbz00mmmmbz00", "mmmmbz00mmmmbz00", "mmmmbz00mmmmbz00", "mmmmbz00mmmmbz00", /* 00 */
    "0000000000000000", "0000000000000000", "000m0000zZbB0000", "bbbbbbbbbbbbbbbb", /* 40 */
    "BZBBmmmmmmmmmmmm", "0000000000000000", "aaaa0000bz000000", "bbbbbbbbvvvvvvvv", /* 80 */
    "BBw000BZe0w00b00", "mmmm0000mmmmmmmm", "bbbbbbbbxx0b0000", "000000gG000000mm", /* c0 */
};

/* What has been read of one instruction. */
struct scan {
    const uint8_t *code;
    unsigned at, n;      /* next byte, bytes there are; at > n: cut short */
    bool opsize, adsize; /* 66, 67 */
    bool repne;          /* f2 */
    bool lock;           /* f0 */
    bool wide;           /* REX.W */
};

static uint8_t next(struct scan *s)
{
    return s->at < s->n ? s->code[s->at++] : (s->at = s->n + 1, 0);
}

/* opcode skips prefixes and returns the first byte that is none. */
static uint8_t opcode(struct scan *s)
{
    for (;;) {
        uint8_t c = next(s);

        switch (c) {
        case 0x66:
            s->opsize = true;
            break;
        case 0x67:
            s->adsize = true;
            break;
        case 0xf2:
            s->repne = true;
            break;
        case 0xf0:
            s->lock = true;
            break;
        case 0xf3:
        case 0x2e:
        case 0x36:
        case 0x3e:
        case 0x26:
        case 0x64:
        case 0x65:
            break;
        default:
            if ((c & 0xf0) != 0x40)
                return c;
            s->wide = c & 8;
        }
    }
}

/* two_byte returns the letter of opcode 0f c, also of VEX map 1. */
static char two_byte(const struct scan *s, uint8_t c)
{
    if ((c & 0xf0) == 0x80)
        return 'x';
    if ((c >= 0x05 && c <= 0x09) || c == 0x0b || c == 0x0e || (c >= 0x30 && c <= 0x37) ||
        c == 0x77 || (c >= 0xa0 && c <= 0xa2) || c == 0xaa || (c >= 0xa8 && c <= 0xa9) ||
        c >> 3 == 0x19)
        return '0';
    if ((c >= 0x70 && c <= 0x73) || c == 0x0f || c == 0xa4 || c == 0xac || c == 0xba || c == 0xc2 ||
        (c >= 0xc4 && c <= 0xc6))
        return 'B';
    return c == 0x78 && (s->opsize || s->repne) ? 'D' : 'm';
}

static char mapped(struct scan *s, unsigned map)
{
    uint8_t c = next(s);

    return map == 1 ? two_byte(s, c) : map == 3 ? 'B' : 'm';
}

/* letter reads the opcode, escapes and VEX included. */
static char letter(struct scan *s)
{
    uint8_t c = opcode(s);

    if (c == 0xc5)
        return next(s), mapped(s, 1);
    if (c == 0xc4) {
        unsigned map = next(s) & 31;

        return next(s), mapped(s, map);
    }
    if (c != 0x0f)
        return ONE_BYTE[c >> 4][c & 15];
    c = next(s);
    if (c == 0x38 || c == 0x3a)
        return next(s), c == 0x38 ? 'm' : 'B';
    return two_byte(s, c);
}

/* modrm skips ModRM, SIB and displacement and returns the ModRM byte. */
static uint8_t modrm(struct scan *s)
{
    uint8_t m = next(s), mod = m >> 6, base = m & 7;

    if (mod == 3)
        return m;
    if (base == 4)
        base = next(s) & 7;
    if (mod == 1)
        s->at += 1;
    else if (mod == 2 || base == 5)
        s->at += 4;
    return m;
}

unsigned insn_length(const uint8_t *code, unsigned n)
{
    struct scan s = {.code = code, .n = n};
    char l = letter(&s);
    unsigned z = s.opsize && !s.wide ? 2 : 4, reg = 0;

    if (l == 'm' || l == 'B' || l == 'Z' || l == 'g' || l == 'G' || l == 'D')
        reg = modrm(&s) >> 3 & 7;
    switch (l) {
    case 'b':
    case 'B':
        s.at += 1;
        break;
    case 'w':
    case 'D':
        s.at += 2;
        break;
    case 'e':
        s.at += 3;
        break;
    case 'x':
        s.at += 4;
        break;
    case 'z':
    case 'Z':
        s.at += z;
        break;
    case 'v':
        s.at += s.wide ? 8 : z;
        break;
    case 'a':
        s.at += s.adsize ? 4 : 8;
        break;
    case 'g':
    case 'G':
        s.at += reg > 1 ? 0 : l == 'g' ? 1 : z;
        break;
    }
    return s.at <= n ? s.at : 0;
}

bool insn_is_plain(const uint8_t *code, unsigned n)
{
    struct scan s = {.code = code, .n = n};
    uint8_t c = opcode(&s);

    if (s.lock || c == 0xc4 || c == 0xc5 || c == 0x86 || c == 0x87 || (c >= 0xd8 && c <= 0xdf))
        return false;
    return c != 0x0f || (next(&s) & 0xf0) == 0x80;
}
