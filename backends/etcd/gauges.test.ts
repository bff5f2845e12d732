import { describe, expect, it } from 'vitest';
import { gaugesIn } from './gauges.ts';

const page = (value: string): string =>
  [
    '# HELP etcd_server_quota_backend_bytes Current backend storage quota size in bytes.',
    '# TYPE etcd_server_quota_backend_bytes gauge',
    `etcd_server_quota_backend_bytes ${value}`,
    'etcd_server_quota_backend_bytes_of_others 7',
    '',
  ].join('\n');

describe('the quota in a page of metrics', () => {
  it.each([
    ['2.147483648e+09', 2_147_483_648],
    ['2000000', 2_000_000],
    // "No limit", and what makes no sense.
    ['0', undefined],
    ['-1', undefined],
    ['+Inf', undefined],
    ['NaN', undefined],
    ['much', undefined],
  ])('is %s: %s', (value, bytes) => {
    expect(gaugesIn(page(value)).quota).toBe(bytes);
  });

  it.each(['', '<html>not found</html>', 'x_etcd_server_quota_backend_bytes 5\n'])(
    'is unknown when the page has none: %j',
    (text) => {
      expect(gaugesIn(text)).toEqual({ quota: undefined, size: undefined, used: undefined });
    },
  );
});

describe('the size in a page of metrics', () => {
  it('is that of the file, and what of it is used', () => {
    const text =
      'etcd_mvcc_db_total_size_in_bytes 2.4576e+04\netcd_mvcc_db_total_size_in_use_in_bytes 16384\n';
    expect(gaugesIn(text)).toEqual({ quota: undefined, size: 24_576, used: 16_384 });
  });
});
