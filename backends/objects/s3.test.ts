import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ObjectStore } from '../../src/base/object-store.ts';
import { codedFrom } from './s3-errors.ts';
import { openS3Objects } from './s3.ts';

/** Answers as the service does, as far as a request at a time shows; conformance runs on a real engine. */
let answer: (request: IncomingMessage, response: ServerResponse) => void;
let asked: { method: string; url: string; headers: IncomingMessage['headers'] }[];
let server: Server;
let objects: ObjectStore;
beforeEach(async () => {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'test');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'test');
  asked = [];
  server = createServer((request, response) => {
    const { method = '', url = '', headers } = request;
    asked.push({ method, url, headers });
    request.resume().on('end', () => {
      answer(request, response);
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  objects = openS3Objects({ bucket: 'audit', prefix: 'a', region: 'x', endpoint, encrypted: true });
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await objects.close();
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
});
const saying = (status: number, code: string) => (_: IncomingMessage, response: ServerResponse) => {
  response.writeHead(status, { 'content-type': 'application/xml' });
  response.end(`<Error><Code>${code}</Code><Message>because</Message></Error>`);
};

describe('objects in a bucket', () => {
  it('are below their prefix, and encrypted where that is wanted', async () => {
    answer = (_, response) => response.end();
    await objects.put('audit/x', Buffer.from('value'));
    await objects.remove('audit/x');
    expect(asked.map(({ method, url }) => [method, url.split('?')[0]])).toEqual([
      ['PUT', '/audit/a/audit/x'],
      ['DELETE', '/audit/a/audit/x'],
    ]);
    expect(asked[0]?.headers['x-amz-server-side-encryption']).toBe('aws:kms');
  });

  it('are read in part, and absent where there is none', async () => {
    answer = (_, response) => response.writeHead(206).end('234');
    expect(Buffer.from((await objects.get('x', { from: 2, length: 3 })) ?? []).toString()).toBe('234');
    expect(asked[0]?.headers.range).toBe('bytes=2-4');
    answer = saying(404, 'NoSuchKey');
    expect(await objects.get('x')).toBeUndefined();
    answer = saying(416, 'InvalidRange');
    expect(await objects.get('x', { from: 9, length: 1 })).toHaveLength(0);
  });

  it('are listed page by page', async () => {
    answer = ({ url = '' }, response) => {
      const isSecond = url.includes('continuation-token=more');
      const [key, rest] = isSecond
        ? ['a/2', '<IsTruncated>false</IsTruncated>']
        : ['a/1', '<IsTruncated>true</IsTruncated><NextContinuationToken>more</NextContinuationToken>'];
      response.writeHead(200, { 'content-type': 'application/xml' });
      response.end(
        `<ListBucketResult>${rest}<Contents><Key>${key}</Key><Size>5</Size></Contents></ListBucketResult>`,
      );
    };
    expect(await objects.list('')).toEqual([
      { name: '1', bytes: 5 },
      { name: '2', bytes: 5 },
    ]);
  });

  it('say what to do where the service refuses', async () => {
    answer = saying(403, 'AccessDenied');
    await expect(objects.put('x', Buffer.from('v'))).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringMatching(
        /^s3:\/\/audit\/a at \S+: cannot write x: .*allow s3:ListBucket/,
      ) as string,
    });
    answer = saying(404, 'NoSuchBucket');
    await expect(objects.list('')).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('need a region', () => {
    expect(codedFrom(new Error('Region is missing'), 'w').code).toBe('misconfigured');
    expect(codedFrom(new Error('lost'), 'w')).toMatchObject({ code: 'unavailable', message: 'w: lost' });
  });
});
