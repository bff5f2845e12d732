import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openS3Objects, type S3Options } from '../../backends/objects/s3.ts';
import { objectStoreConforms } from '../../backends/objects/conformance.ts';
import { startMotoS3 } from '../harness/dynamodb-server.ts';

process.env['AWS_ACCESS_KEY_ID'] = 'test';
process.env['AWS_SECRET_ACCESS_KEY'] = 'test';

const engine = await startMotoS3();
let buckets = 0;

describe.skipIf(engine === undefined)('objects in a bucket of S3', () => {
  const endpoint = engine?.endpoint ?? '';
  const region = 'us-east-1';
  const client = new S3Client({ endpoint, region, forcePathStyle: true });
  let options: S3Options;
  afterAll(async () => {
    client.destroy();
    await engine?.close();
  });
  const bucket = async (prefix: string): Promise<S3Options> => {
    const name = `bucket-${++buckets}`;
    await client.send(new CreateBucketCommand({ Bucket: name }));
    return { bucket: name, prefix, region, endpoint, encrypted: false };
  };

  describe('with a prefix', () => {
    beforeAll(async () => {
      options = await bucket('teleport/example');
    });
    objectStoreConforms(() => ({ open: () => Promise.resolve(openS3Objects(options)) }));
  });

  it('are all listed, however many pages there are, and none of another prefix', async () => {
    const given = await bucket('one');
    const [one, two] = [openS3Objects(given), openS3Objects({ ...given, prefix: 'one-more' })];
    const names = Array.from({ length: 1_010 }, (_, i) => `a/${String(i).padStart(5, '0')}`);
    for (let i = 0; i < names.length; i += 101)
      await Promise.all(names.slice(i, i + 101).map((name) => one.put(name, Buffer.from('x'))));
    await two.put('a/other', Buffer.from('x'));
    expect((await one.list('a/')).map(({ name }) => name)).toEqual(names);
    expect((await two.list('')).map(({ name }) => name)).toEqual(['a/other']);
    await Promise.all([one.close(), two.close()]);
  });

  it('say what is wrong where they cannot be used', async () => {
    const given = await bucket('x');
    const none = openS3Objects({ ...given, bucket: 'bucket-that-is-not' });
    const refused = {
      code: 'unavailable',
      message: expect.stringContaining('no such bucket: make it') as string,
    };
    await expect(none.put('a', Buffer.from('x'))).rejects.toMatchObject(refused);
    await expect(none.list('')).rejects.toMatchObject(refused);
    const away = openS3Objects({ ...given, endpoint: 'http://127.0.0.1:9', attemptTimeoutMs: 500 });
    await expect(away.get('a')).rejects.toMatchObject({ code: 'unavailable' });
    await Promise.all([none.close(), away.close()]);
  });
});
