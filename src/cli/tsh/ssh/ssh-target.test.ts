import { describe, expect, it } from 'vitest';
import { parseLabels } from '../../labels.ts';
import { parseTarget } from './ssh-target.ts';

describe('labels on a command line', () => {
  it('are read, with quotes', () => {
    expect({ ...parseLabels('env=prod, os="a, b",x=') }).toEqual({ env: 'prod', os: 'a, b', x: '' });
  });
  it.each(['__proto__=x', 'env=prod,__proto__=x', 'a*=x', '"=x'])(
    'refuse %j, rather than select more',
    (text) => {
      expect(() => parseLabels(text)).toThrow(expect.objectContaining({ code: 'bad_request' }) as Error);
    },
  );
  it('name no label that nobody gave', () => {
    expect(parseLabels('env=prod')['constructor' as string]).toBeUndefined();
    expect(() => parseTarget('root@__proto__=x')).toThrow('is not the name of a label');
  });
});
