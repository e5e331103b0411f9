// The mock hub behind https, and a Chromium in which the Hub's hosts are it.
import { generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { MockHub, type MockModel } from '../src/testing/hub.ts';

/** A hub that runs, and the flag with which Chromium goes to it. */
export interface RunningHub {
  hub: MockHub;
  args: string[];
  close(): Promise<void>;
}

export const COMMIT = '0123456789abcdef0123456789abcdef01234567';

/** The demo's model as the hub has it. */
export const demoOnHub = (id: string, access: MockModel['access'] = 'open'): MockModel => ({
  id,
  commit: COMMIT,
  access,
  files: Object.fromEntries(
    [
      'config.json',
      'generation_config.json',
      'model.safetensors',
      'tokenizer.json',
      'tokenizer_config.json',
    ].map((name) => [
      name,
      {
        bytes: new Uint8Array(readFileSync(`public/demo/${name}`)),
        lfs: name === 'model.safetensors',
      },
    ]),
  ),
});

/** Starts a mock hub with these models. */
export async function startHub(models: readonly MockModel[]): Promise<RunningHub> {
  const hub = new MockHub(models);
  hub.hub = 'https://huggingface.co';
  hub.cdn = 'https://cdn-lfs-us-1.hf.co';
  const server = createServer(selfSigned(), (req, res) => void hub.handle(req, res));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const rules = [hub.hub, hub.cdn].map(
    (origin) => `MAP ${new URL(origin).host}:443 127.0.0.1:${port}`,
  );
  return {
    hub,
    args: [`--host-resolver-rules=${rules.join(', ')}`],
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/**
 * A fresh key with a certificate for it (X.509 v3 in DER, signed with ECDSA over P-256), which a
 * browser accepts only when told to.
 */
function selfSigned(): { key: string; cert: string } {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const der = (tag: number, ...parts: Uint8Array[]): Buffer => {
    const body = Buffer.concat(parts);
    const { length } = body;
    const size =
      length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
    return Buffer.concat([Buffer.from([tag, ...size]), body]);
  };
  const text = (tag: number, value: string) => der(tag, Buffer.from(value));
  const whole = (value: number) => der(0x02, Buffer.from([value]));
  const ecdsaWithSha256 = der(0x30, der(0x06, Buffer.from('2a8648ce3d040302', 'hex')));
  const name = der(
    0x30,
    der(0x31, der(0x30, der(0x06, Buffer.from('550403', 'hex')), text(0x0c, 'mock hub'))),
  );
  const validity = der(0x30, text(0x17, '200101000000Z'), text(0x18, '20991231235959Z'));
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  const body = der(
    0x30,
    der(0xa0, whole(2)),
    whole(1),
    ecdsaWithSha256,
    name,
    validity,
    name,
    spki,
  );
  const certificate = der(
    0x30,
    body,
    ecdsaWithSha256,
    der(0x03, Buffer.from([0]), sign('sha256', body, privateKey)),
  );
  return {
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${certificate.toString('base64')}\n-----END CERTIFICATE-----\n`,
  };
}
