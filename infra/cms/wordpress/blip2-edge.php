<?php
/**
 * Plugin Name:       blip2-edge
 * Description:       Tells a blip2-edge connection of pictures that are uploaded or replaced, and lets it write alt text only where nobody else has written since it looked.
 * Version:           1.0.0
 * Requires at least: 6.0
 * Requires PHP:      7.4
 * License:           GPL-2.0-or-later
 * License URI:       https://www.gnu.org/licenses/old-licenses/gpl-2.0.html
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 * Of its repository this file alone is under WordPress's own licence, the rest under Apache-2.0.
 *
 * Copy it to wp-content/plugins/ and activate it, or to wp-content/mu-plugins/. wp-config.php defines
 * BLIP2_EDGE_URL (where the connection's webhooks go) and BLIP2_EDGE_SECRET (whsec_…). It stores nothing.
 */

namespace Blip2Edge;

defined( 'ABSPATH' ) || exit;

/**
 * The attachments that this request has touched, by id, each with the event that is told of it.
 * A file is named, measured and cut into sizes in many steps: what is told is told once, when they are over.
 */
function touched( ?int $id = null, string $event = '' ): array {
	static $events = array();
	if ( null !== $id && ( 'asset.created' === $event || ! isset( $events[ $id ] ) ) ) {
		$events[ $id ] = $event;
	}
	return $events;
}

function on_upload( $id ): void {
	touched( (int) $id, 'asset.created' );
}

/** Alt text is another key, so what is written there calls nobody. */
function on_meta( $meta_id, $id, $key ): void {
	if ( '_wp_attached_file' === $key || '_wp_attachment_metadata' === $key ) {
		touched( (int) $id, 'asset.updated' );
	}
}

function on_shutdown(): void {
	if ( array() === touched() || ! defined( 'BLIP2_EDGE_URL' ) || ! defined( 'BLIP2_EDGE_SECRET' ) ) {
		return;
	}
	// Where PHP can, the editor has the answer before we call anybody.
	if ( function_exists( 'fastcgi_finish_request' ) ) {
		fastcgi_finish_request();
	}
	foreach ( touched() as $id => $event ) {
		tell( $id, $event );
	}
}

/** Once, and without what a reply holds: what is lost is found when the connection asks for pictures without alt text. */
function tell( int $id, string $event ): void {
	$post = get_post( $id );
	if ( null === $post || 'attachment' !== $post->post_type ) {
		return;
	}
	$meta = wp_get_attachment_metadata( $id );
	$meta = is_array( $meta ) ? $meta : array();
	$data = array( 'id' => $id, 'mime_type' => $post->post_mime_type );
	foreach ( array( 'file', 'filesize', 'width', 'height' ) as $fact ) {
		$data[ $fact ] = $meta[ $fact ] ?? null;
	}
	$body   = wp_json_encode( array( 'type' => $event, 'timestamp' => gmdate( 'c' ), 'data' => $data ) );
	$answer = wp_remote_post(
		BLIP2_EDGE_URL,
		array(
			'timeout'     => 5,
			'redirection' => 0,
			'headers'     => signed( $body ) + array( 'Content-Type' => 'application/json' ),
			'body'        => $body,
		)
	);
	if ( 200 !== wp_remote_retrieve_response_code( $answer ) ) {
		$why = is_wp_error( $answer ) ? $answer->get_error_message() : 'status ' . wp_remote_retrieve_response_code( $answer );
		error_log( "blip2-edge: attachment $id was not told: $why" );
	}
}

/** https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md */
function signed( string $body ): array {
	$id  = 'msg_' . wp_generate_uuid4();
	$at  = (string) time();
	$key = base64_decode( substr( BLIP2_EDGE_SECRET, strlen( 'whsec_' ) ) );
	return array(
		'webhook-id'        => $id,
		'webhook-timestamp' => $at,
		'webhook-signature' => 'v1,' . base64_encode( hash_hmac( 'sha256', "$id.$at.$body", $key, true ) ),
	);
}

/** Changes with the file and with every word that a connection may write. */
function revision( int $id ): string {
	$post = get_post( $id );
	if ( null === $post ) {
		return '';
	}
	$alt = get_post_meta( $id, '_wp_attachment_image_alt', true );
	return md5( wp_json_encode( array( $alt, $post->post_excerpt, $post->post_content, get_post_meta( $id, '_wp_attached_file', true ) ) ) );
}

function add_revision(): void {
	register_rest_field(
		'attachment',
		'blip2_edge_revision',
		array(
			'get_callback' => function ( $media ) {
				return revision( (int) $media['id'] );
			},
			'schema'       => array(
				'description' => 'Given back with a write, lets it pass only if nothing has changed meanwhile.',
				'type'        => 'string',
				'context'     => array( 'edit' ),
			),
		)
	);
}

/** Core has looked at the permissions and writes right after this. */
function refuse_stale( $prepared, $request ) {
	$read = $request['blip2_edge_revision'];
	if ( null === $read || empty( $request['id'] ) || is_wp_error( $prepared ) || revision( (int) $request['id'] ) === $read ) {
		return $prepared;
	}
	return new \WP_Error( 'blip2_edge_changed', 'The picture has changed since it was read.', array( 'status' => 412 ) );
}

/** Core's list of media cannot be asked for those without alt text. */
function only_untitled( $args, $request ) {
	if ( ! empty( $request['blip2_edge_untitled'] ) ) {
		$args['meta_query'] = array(
			'relation' => 'OR',
			array( 'key' => '_wp_attachment_image_alt', 'compare' => 'NOT EXISTS' ),
			array( 'key' => '_wp_attachment_image_alt', 'value' => '' ),
		);
	}
	return $args;
}

add_action( 'add_attachment', __NAMESPACE__ . '\on_upload' );
add_action( 'added_post_meta', __NAMESPACE__ . '\on_meta', 10, 3 );
add_action( 'updated_post_meta', __NAMESPACE__ . '\on_meta', 10, 3 );
add_action( 'shutdown', __NAMESPACE__ . '\on_shutdown' );
add_action( 'rest_api_init', __NAMESPACE__ . '\add_revision' );
add_filter( 'rest_pre_insert_attachment', __NAMESPACE__ . '\refuse_stale', 10, 2 );
add_filter( 'rest_attachment_query', __NAMESPACE__ . '\only_untitled', 10, 2 );
