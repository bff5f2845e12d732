import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isCoded } from '../../base/errors.ts';
import { type ObjectLocation, objectLocationOf } from './object-location.ts';

const s3 = {
  type: 's3',
  bucket: 'audit',
  prefix: '',
  region: undefined,
  endpoint: undefined,
  encrypted: true,
};

/** As a URI; the same for the same place. */
const objectPlaceOf = (location: ObjectLocation): string =>
  location.type === 'dir'
    ? `file://${location.path}`
    : `s3://${location.bucket}${location.prefix === '' ? '' : `/${location.prefix}`}${
        location.endpoint === undefined ? '' : ` at ${location.endpoint}`
      }`;

describe('where objects are', () => {
  it.each([
    ['file:///var/lib/audit', { type: 'dir', path: '/var/lib/audit' }, 'file:///var/lib/audit'],
    ['file://localhost/var/lib/a%20b/', { type: 'dir', path: '/var/lib/a b' }, 'file:///var/lib/a b'],
    ['s3://audit', s3, 's3://audit'],
    ['s3://audit/a/b/?region=eu-west-1', { ...s3, prefix: 'a/b', region: 'eu-west-1' }, 's3://audit/a/b'],
    [
      's3://audit/a?endpoint=minio.example.com:9000&disablesse=true',
      { ...s3, prefix: 'a', endpoint: 'https://minio.example.com:9000', encrypted: false },
      's3://audit/a at https://minio.example.com:9000',
    ],
    [
      's3://audit?endpoint=127.0.0.1:9000&insecure=true',
      { ...s3, endpoint: 'http://127.0.0.1:9000' },
      's3://audit at http://127.0.0.1:9000',
    ],
  ])('%s', (text, location, place) => {
    expect(objectLocationOf(text)).toEqual(location);
    expect(objectPlaceOf(objectLocationOf(text))).toBe(place);
  });

  it.each([
    ['/var/lib/audit', 'is not a URI'],
    ['file:///', 'names no directory'],
    ['file://host/x', 'names no host'],
    ['file:///x?y=1', 'has no parameters'],
    ['file:///%', 'well formed'],
    ['gs://bucket', 'is not in this release'],
    ['s3://a', 'names no bucket'],
    ['s3://audit/a//b', 'a prefix has'],
    ['s3://audit?regoin=x', 'unknown parameter "regoin"'],
    ['s3://audit?disablesse=yes', 'disablesse is true or false'],
    ['s3://audit?insecure=true', 'insecure needs an endpoint'],
    ['s3://audit?endpoint=http://x:1', 'can be read on the way'],
    ['s3://audit?endpoint=https://x/y', 'has no path'],
    ['s3://audit?endpoint=a b:c', 'not an address'],
  ])('is not told by %s', (text, why) => {
    expect(() => objectLocationOf(text)).toThrow(
      expect.objectContaining({ code: 'misconfigured', message: expect.stringContaining(why) as string }),
    );
  });

  it('is never told with credentials, nor are they repeated', () => {
    expect(() => objectLocationOf('s3://key:secret@audit/x')).toThrow(/credentials do not belong here/);
    expect(() => objectLocationOf('s3://key:secret@audit/x')).not.toThrow(/secret@/);
  });

  it('is told by a text, or refused with a code', () => {
    const begin = fc.constantFrom('', 'file://', 'file:///', 's3://', 's3://audit/', 's3://audit?endpoint=');
    fc.assert(
      fc.property(begin, fc.string(), (scheme, rest) => {
        try {
          objectLocationOf(scheme + rest);
        } catch (e) {
          if (!isCoded(e, 'misconfigured')) throw e;
        }
      }),
    );
  });
});
