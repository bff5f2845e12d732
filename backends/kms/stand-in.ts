import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';

/** One call as it came over the wire. */
export interface SeenCall {
  readonly target: string;
  readonly authorization: string;
  readonly body: {
    readonly KeyId: string;
    readonly Plaintext?: string;
    readonly CiphertextBlob?: string;
    readonly EncryptionContext?: Record<string, string>;
  };
}

/** A key service for tests, which behaves like KMS and checks its requests. */
export interface StandIn {
  readonly endpoint: string;
  readonly calls: SeenCall[];
  /** Name of the error that is returned instead; `hang` never replies; undefined serves. */
  fail: string | undefined;
  close(): Promise<void>;
}

export const arnOf = (id: string): string => `arn:aws:kms:eu-test-1:111122223333:key/${id}`;

const signature =
  /^AWS4-HMAC-SHA256 Credential=[^/]+\/\d{8}\/[a-z0-9-]+\/kms\/aws4_request, SignedHeaders=[a-z0-9;-]*host[a-z0-9;-]*, Signature=[0-9a-f]{64}$/;

class Refused extends Error {
  constructor(name: string) {
    super(`refused by the stand-in: ${name}`);
    this.name = name;
  }
}

/** Holds the keys `ids`; knows each by its id and its ARN. */
export async function startStandIn(ids: readonly string[]): Promise<StandIn> {
  const keys = new Map(ids.map((id) => [arnOf(id), randomBytes(32)]));
  const standIn = { calls: [] as SeenCall[], fail: undefined as string | undefined };
  const server: Server = createServer((request, response) => {
    serve(request, response).catch((e: unknown) => {
      const { name, message } = e as Error;
      response.writeHead(name === 'InternalException' ? 500 : 400, {
        'content-type': 'application/x-amz-json-1.1',
      });
      response.end(JSON.stringify({ __type: name, message }));
    });
  });
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const target = String(request.headers['x-amz-target']);
    const authorization = request.headers.authorization ?? '';
    const body = JSON.parse(await text(request)) as SeenCall['body'];
    standIn.calls.push({ target, authorization, body });
    if (standIn.fail === 'hang') return;
    if (standIn.fail !== undefined) throw new Refused(standIn.fail);
    if (!signature.test(authorization)) throw new Refused('InvalidSignatureException');
    const arn = keys.has(body.KeyId) ? body.KeyId : arnOf(body.KeyId);
    const key = keys.get(arn);
    if (key === undefined) throw new Refused('NotFoundException');
    const answer = JSON.stringify(answerOf(target, body, arn, key));
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' });
    response.end(answer);
  };
  await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
  const { port } = server.address() as AddressInfo;
  return Object.assign(standIn, {
    endpoint: `http://127.0.0.1:${port}`,
    close: () =>
      new Promise<void>((done) => {
        server.close(() => {
          done();
        });
        server.closeAllConnections();
      }),
  });
}

function answerOf(target: string, body: SeenCall['body'], arn: string, key: Buffer): object {
  const context = Buffer.from(JSON.stringify(Object.entries(body.EncryptionContext ?? {}).sort()));
  switch (target) {
    case 'TrentService.Encrypt': {
      const nonce = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(context);
      const sealed = [cipher.update(Buffer.from(body.Plaintext ?? '', 'base64')), cipher.final()];
      const blob = Buffer.concat([nonce, cipher.getAuthTag(), ...sealed]);
      return { CiphertextBlob: blob.toString('base64'), KeyId: arn };
    }
    case 'TrentService.Decrypt':
      try {
        const blob = Buffer.from(body.CiphertextBlob ?? '', 'base64');
        const decipher = createDecipheriv('aes-256-gcm', key, blob.subarray(0, 12))
          .setAAD(context)
          .setAuthTag(blob.subarray(12, 28));
        const plain = Buffer.concat([decipher.update(blob.subarray(28)), decipher.final()]);
        return { Plaintext: plain.toString('base64'), KeyId: arn };
      } catch {
        throw new Refused('InvalidCiphertextException');
      }
    default:
      throw new Refused('UnknownOperationException');
  }
}
