/**
 * Words of another century, and turns of phrase that have to be read twice: what to write in their place. Lint looks for them in
 * comments and texts, integration/tree/plain-english.test.ts in what is written for people.
 */
export const plainWords = [
  ['anew', 'again'],
  ['mend|mends|mended|mending', 'fix, repair'],
  ['whence', 'from where'],
  ['whither', 'where'],
  ['thereby|whereof|thereof|hereby|herein', 'a sentence of its own'],
  ['hitherto', 'until now'],
  ['oftener', 'more often'],
  ['lest', 'so that … not'],
  ['forthwith', 'at once'],
  ['clock (?:that is )?never set', 'monotonic clock'],
  [
    '(?<!there )(?:is|are) no (?:sockets?|nodes?|files?|members?|texts?|hosts?|packets?|patterns?|UUIDs?)',
    'is not a …',
  ],
  ['answers (?:the|a|an|whether|how|undefined|true|false)(?= [a-z]+ (?:when|of|that|if)\\b)', 'returns'],
].map(([words, better]) => ({ pattern: new RegExp(`\\b(?:${words})\\b`, 'i'), better }));
