/**
 * Text that has done harm somewhere: in lines, terminals, shells, pages, patterns, records. Each with what it
 * is called.
 */
export const hostileStrings: Readonly<Record<string, string>> = {
  'a line break': 'x\nPROMPT_COMMAND=touch /tmp/hostile\n@cert-authority * ssh-ed25519 AAAA',
  'a carriage return': 'x\r\nSet-Cookie: a=b',
  'the end of a C string': 'x\0y',
  quotes: `x'"\`$(touch /tmp/hostile)\`\\`,
  'words of a shell': 'x; touch /tmp/hostile & | > /tmp/hostile # %h %n ${IFS}',
  'a control sequence': '\u001b]0;owned\u0007\u001b[2J\u001b[31m',
  'a C1 control': 'x\u009b31m\u0085y\u0090z',
  'text from right to left': 'abc\u202efdp.exe\u2066\u2069',
  'no width': 'ad\u200bmin\u200d\ufeff\u2060',
  'line separators': 'x\u2028y\u2029z',
  'half a character': 'x\ud800y',
  'a page': '</script><script>alert(1)</script><img src=x onerror=alert(1)>"\'',
  'a prototype': '__proto__',
  'a constructor': 'constructor',
  'a pattern of everything': '*',
  'a pattern that costs': '^(a+)+$',
  'a path': '../../../../etc/passwd',
  'an option': '-oProxyCommand=touch /tmp/hostile',
  'a list': 'a,b@c:d e=f',
  'another address': '*:3023',
  '64 KB': 'x'.repeat(65_536),
  nothing: '',
  spaces: '  x  ',
};

/**
 * What must not reach a terminal, a log line or a line of a file: C0 but tab and line break, DEL, C1, bidi,
 * no width, separators.
 */
export const unprintable =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/u;

/**
 * Every copy of `sample` with one string leaf, or one key of a record, replaced by `text`, each with the path
 * of that place. Arrays are entered at their first element; `keep` names fields left alone (`role`, that a
 * request is refused without).
 */
export function* replacements(
  sample: unknown,
  text: string,
  keep: readonly string[],
  path = '',
): Generator<{ readonly path: string; readonly value: unknown }> {
  if (typeof sample === 'string') yield { path, value: text };
  if (Array.isArray(sample)) {
    const [first, ...rest] = sample as unknown[];
    for (const r of replacements(first, text, keep, `${path}[0]`)) yield { ...r, value: [r.value, ...rest] };
  } else if (typeof sample === 'object' && sample !== null) {
    for (const [name, inner] of Object.entries(sample)) {
      if (keep.includes(name)) continue;
      for (const r of replacements(inner, text, keep, `${path}.${name}`))
        yield { path: r.path, value: withEntry(sample, name, name, r.value) };
      // The names of a record are text as well.
      if (typeof inner === 'string')
        yield { path: `${path}.${name} (its name)`, value: withEntry(sample, name, text, inner) };
    }
  }
}

/** A copy with `name` called `as`; an own property also where it is `__proto__`. */
function withEntry(record: object, name: string, as: string, value: unknown): object {
  return Object.fromEntries(
    Object.entries(record).map(([key, old]): [string, unknown] => (key === name ? [as, value] : [key, old])),
  );
}
