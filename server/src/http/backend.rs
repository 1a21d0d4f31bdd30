//! What pages and server functions call: the use cases with wire types.

use std::sync::Arc;

use app::backend::{Backend, SiteFiles};
use app::error::ApiError;
use app::types::contract::ContractView;
use app::types::status::StatusView;
use app::types::{
    COMMON_TAGS, ListQuery, PicturePage, PictureStatus, SiteView, TagList, UploadView,
};
use async_trait::async_trait;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use leptos::prelude::use_context;

use crate::domain::client::ClientNetwork;
use crate::domain::picture::PictureId;
use crate::domain::search::canonical;
use crate::http::body::BodyWatch;
use crate::http::cache::{CachePolicy, Shown};
use crate::http::client;
use crate::http::contract::contract_page;
use crate::http::error::Error;
use crate::http::list;
use crate::http::receive::{receive_field, upload_key};
use crate::http::state::AppState;
use crate::http::status::read_status;
use crate::http::upload::{self, DEFAULT_WAIT};
use crate::http::views;
use crate::pictures::Status;

/// The server as the pages of one request see it.
pub(crate) struct ServerBackend {
    state: AppState,
    /// Where the backend notes what it returned, for the cache headers.
    shown: Shown,
    /// The watch of the request's body.
    body: BodyWatch,
    /// The network of the client.
    client: ClientNetwork,
    /// The header of the request.
    headers: HeaderMap,
}

impl ServerBackend {
    /// The backend of the request whose head the framework provides as a context. Where there is
    /// none, as for a page that replaces another answer, nothing is noted.
    pub(crate) fn of_request(state: AppState) -> Arc<dyn Backend> {
        let parts = use_context::<Parts>();
        let extensions = parts.as_ref().map(|parts| &parts.extensions);
        Arc::new(Self {
            state,
            shown: extensions
                .and_then(|extensions| extensions.get::<Shown>())
                .cloned()
                .unwrap_or_default(),
            body: extensions.map(BodyWatch::of).unwrap_or_default(),
            client: extensions.map_or(ClientNetwork::UNKNOWN, client::network_of),
            headers: parts
                .as_ref()
                .map(|parts| parts.headers.clone())
                .unwrap_or_default(),
        })
    }
}

#[async_trait]
impl Backend for ServerBackend {
    fn site(&self) -> SiteView {
        SiteView::clone(&self.state.site)
    }

    fn files(&self) -> Arc<SiteFiles> {
        self.state.files.clone()
    }

    fn contract(&self) -> ContractView {
        contract_page(&self.state)
    }

    async fn picture(&self, id: &str) -> Result<PictureStatus, ApiError> {
        let id = PictureId::parse(id).ok_or_else(Error::not_found)?;
        let site = &self.state.site;
        match self
            .state
            .pictures
            .reading
            .status(&id)
            .await
            .map_err(Error::from)?
        {
            Status::Published(published) => {
                self.shown.note(CachePolicy::Picture {
                    expires_at: published.expires_at,
                    id,
                });
                let view = views::picture(site, &published);
                Ok(PictureStatus::Published(Box::new(view)))
            }
            Status::Screening => Ok(PictureStatus::Screening(views::pending(site, &id))),
            Status::Rejected(reason) => Err(Error::from(reason).into()),
            Status::Gone { .. } => Err(Error::gone().into()),
            Status::Unknown => Err(Error::not_found().into()),
        }
    }

    async fn list_pictures(&self, mut query: ListQuery) -> Result<PicturePage, ApiError> {
        query.q = canonical(&query.q);
        query.tag = canonical(&query.tag);
        let (page, policy) =
            list::list_pictures(&self.state.pictures, &self.state.site, &query).await?;
        self.shown.note(policy);
        Ok(page)
    }

    async fn list_tags(&self) -> Result<TagList, ApiError> {
        let (tags, policy) = list::list_tags(&self.state.pictures).await?;
        self.shown.note(policy);
        Ok(tags)
    }

    async fn frequent_tags(&self, most: usize) -> Result<TagList, ApiError> {
        // No picture is shown, so the policy of what is shown decides.
        let (mut list, _) = list::list_tags(&self.state.pictures).await?;
        list.tags
            .retain(|tag| !COMMON_TAGS.contains(&tag.name.as_str()));
        list.tags.truncate(most);
        Ok(list)
    }

    async fn status(&self) -> Result<StatusView, ApiError> {
        let (status, policy) = read_status(&self.state).await?;
        self.shown.note(policy);
        Ok(status)
    }

    async fn check_deletion(&self, id: &str, token: &str) -> Result<(), ApiError> {
        let id = PictureId::parse(id).ok_or_else(Error::not_found)?;
        let check = self.state.pictures.endings.check_deletion(&id, token);
        Ok(self.state.guesses.owner(self.client, check).await?)
    }

    async fn upload_picture(
        &self,
        form: multer::Multipart<'static>,
    ) -> Result<UploadView, ApiError> {
        let pictures = &self.state.pictures;
        let key = upload_key(&self.headers)?;
        let accepted = receive_field(pictures, form, &self.body, self.client, key, None).await?;
        Ok(upload::answer(&self.state, accepted, DEFAULT_WAIT).await?)
    }
}
